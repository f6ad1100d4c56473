/** Small unsigned-by-themselves messages about who is there: birth, death (last will) and the coordinator's state. Plain JSON. */
import Type, { type Static } from "typebox";
import { bootIdPattern } from "./identity.ts";
import { limits } from "./limits.ts";
import { type Result, reject } from "./result.ts";
import { checker, parseJson, printablePattern, Whole } from "./schema.ts";

const Boot = Type.String({ pattern: bootIdPattern });
const Name = Type.String({ pattern: printablePattern, maxLength: 64 });

/** Retained. Published on every connect, so that a broker's restart leaves no node unavailable. */
export const Birth = Type.Object(
  {
    boot: Boot,
    bootCount: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    software: Name,
    profile: Name,
    /** What the node can do, as dotted words: `sensor.gnss`, `sensor.host`. */
    capabilities: Type.Array(Type.String({ pattern: "^[a-z][a-z0-9.-]{0,63}$" }), { maxItems: 64 }),
    /** Version of the desired state the node holds, 0 for none. */
    desiredVersion: Whole,
  },
  { additionalProperties: false },
);
export type Birth = Static<typeof Birth>;

/** The last will. A late will of an old session carries an old boot id and is ignored. */
export const Death = Type.Object({ boot: Boot }, { additionalProperties: false });
export type Death = Static<typeof Death>;

/** Retained. Nodes hold their data while `online` is false. `at`: unix ms. */
export const CoordinatorState = Type.Object({ online: Type.Boolean(), at: Whole }, { additionalProperties: false });
export type CoordinatorState = Static<typeof CoordinatorState>;

const checkBirth = checker("birth", Birth);
const checkDeath = checker("death", Death);
const checkState = checker("coordinator state", CoordinatorState);

function parseSmall<T>(bytes: Uint8Array, what: string, check: (value: unknown) => Result<T>): Result<T> {
  if (bytes.length > limits.smallMessageBytes) return reject("payload-too-large", `${what} of ${bytes.length} bytes`);
  const json = parseJson(bytes, what);
  return json.ok ? check(json.value) : json;
}

export const parseBirth = (bytes: Uint8Array) => parseSmall<Birth>(bytes, "birth", checkBirth);
export const parseDeath = (bytes: Uint8Array) => parseSmall<Death>(bytes, "death", checkDeath);
export const parseCoordinatorState = (bytes: Uint8Array) =>
  parseSmall<CoordinatorState>(bytes, "coordinator state", checkState);
