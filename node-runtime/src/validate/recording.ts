/**
 * Recordings of a serial line (format "cairn-recording/1"; written down in hardware/recordings/README.md): one JSON object per
 * line, first a header, then one line per chunk of bytes as it arrived. Bytes stand as a Latin-1 string, so that a person can
 * read the sentences and no noise byte is lost.
 */
import { accept, checker, type Result, reject } from "@cairn/protocol";
import Type from "typebox";

const Header = Type.Object(
  {
    format: Type.Literal("cairn-recording/1"),
    device: Type.String({ minLength: 1, maxLength: 120 }),
    baudRate: Type.Integer({ minimum: 50, maximum: 4_000_000 }),
    note: Type.String({ maxLength: 2000 }),
  },
  { additionalProperties: false },
);

const Line = Type.Object(
  { t: Type.Integer({ minimum: 0, maximum: 604_800_000 }), b: Type.String({ minLength: 1, maxLength: 4096 }) },
  { additionalProperties: false },
);

const checkHeader = checker("header", Header);
const checkLine = checker("chunk", Line);

/** Bytes that arrived together, `atMs` milliseconds after the recording began. */
export type Chunk = { readonly atMs: number; readonly bytes: Uint8Array };

/** A whole recording. At least one chunk; times never fall; at most seven days. */
export type Recording = {
  readonly device: string;
  /** Bits per second of the line it was taken from. */
  readonly baudRate: number;
  readonly note: string;
  readonly chunks: readonly Chunk[];
};

/**
 * Text of a recording to its chunks. A refusal's detail names the line, counted from 1, and the reason; who read the file puts
 * its name in front: `${path}: ${rejection.detail}`. Empty lines are allowed only at the end.
 */
export function parseRecording(text: string): Result<Recording> {
  const lines = text.split("\n");
  while (lines.length > 0 && lines.at(-1)?.trim() === "") lines.pop();
  const header = parseLine(lines[0] ?? "", 1, checkHeader);
  if (!header.ok) return header;
  const chunks: Chunk[] = [];
  let last = 0;
  for (const [index, line] of lines.entries()) {
    if (index === 0) continue;
    const chunk = parseLine(line, index + 1, checkLine);
    if (!chunk.ok) return chunk;
    const { t, b } = chunk.value;
    if (t < last) return reject("schema-mismatch", `line ${index + 1}: time goes back from ${last} to ${t} ms`);
    if (!isLatin1(b))
      return reject("schema-mismatch", `line ${index + 1}: /b holds a character that is no byte (above U+00FF)`);
    chunks.push({ atMs: t, bytes: Buffer.from(b, "latin1") });
    last = t;
  }
  if (chunks.length === 0) return reject("schema-mismatch", "line 2: there is no chunk after the header");
  const { device, baudRate, note } = header.value;
  return accept({ device, baudRate, note, chunks });
}

function parseLine<T>(line: string, number: number, check: (value: unknown) => Result<T>): Result<T> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return reject("payload-malformed", `line ${number}: not complete JSON`);
  }
  const checked = check(value);
  return checked.ok ? checked : reject(checked.rejection.code, `line ${number}: ${checked.rejection.detail}`);
}

function isLatin1(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0xff) return false;
  return true;
}
