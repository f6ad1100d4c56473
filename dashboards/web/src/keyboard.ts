/** The keys of the page as a pure machine: what a key press means, given the one before it. */

export type KeyAction =
  | "go-fleet"
  | "go-epochs"
  | "go-refused"
  | "next"
  | "previous"
  | "search"
  | "show-keys"
  | "pause";

const afterG: Readonly<Record<string, KeyAction>> = { f: "go-fleet", e: "go-epochs", r: "go-refused" };
const alone: Readonly<Record<string, KeyAction>> = {
  j: "next",
  k: "previous",
  "/": "search",
  "?": "show-keys",
  p: "pause",
};

/** How long a `g` waits for its second key, ms. */
export const chordMs = 1_500;

export type KeyPress = { readonly key: string; readonly at: number };

/** The action of a press, or null. `previous` is the press before it. */
export function keyAction(previous: KeyPress | null, press: KeyPress): KeyAction | null {
  const chord = previous?.key === "g" && press.at - previous.at <= chordMs;
  return (chord ? afterG[press.key] : undefined) ?? alone[press.key] ?? null;
}
