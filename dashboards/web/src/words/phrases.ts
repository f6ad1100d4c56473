/** A sentence whose names, numbers and times keep their meaning until they are drawn: a name is a link, a time has its UTC title. */

export type Piece =
  | string
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "amount"; readonly smallest: string }
  | { readonly kind: "node"; readonly nodeId: string; readonly name: string }
  | { readonly kind: "time"; readonly at: number }
  | { readonly kind: "command"; readonly text: string }
  /** Words that the coordinator wrote, in English. */
  | { readonly kind: "quote"; readonly text: string };

export type Phrase = readonly Piece[];

/** Template tag: say`${2} of ${node} ...`. Numbers become pieces, phrases are joined in. */
export function say(texts: TemplateStringsArray, ...values: readonly (Piece | Phrase | number)[]): Phrase {
  const pieces: Piece[] = [];
  for (const [index, text] of texts.entries()) {
    if (text !== "") pieces.push(text);
    const value = values[index];
    if (value === undefined || value === "") continue;
    if (typeof value === "number") pieces.push({ kind: "number", value });
    else if (typeof value === "string" || "kind" in value) pieces.push(value);
    else pieces.push(...value);
  }
  return pieces;
}

export function joined(phrases: readonly Phrase[], separator: string): Phrase {
  return phrases.flatMap((phrase, index) => (index === 0 ? phrase : [separator, ...phrase]));
}
