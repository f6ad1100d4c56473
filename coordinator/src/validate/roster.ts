/** The roster: which device keys belong to the network and whom their rewards are paid to. JSON, written by the admin. */
import {
  type Address,
  addressPattern,
  checker,
  nodeIdOf,
  parseDevicePublicKey,
  parseJson,
  type Result,
  reject,
} from "@cairn/protocol";
import Type from "typebox";
import type { Enrolment } from "../model.ts";

const Roster = Type.Object(
  {
    nodes: Type.Array(
      Type.Object(
        {
          name: Type.String({ minLength: 1, maxLength: 64 }),
          /** Device public key, SPKI PEM, EC P-256. */
          publicKey: Type.String({ maxLength: 1024 }),
          operator: Type.String({ pattern: addressPattern }),
        },
        { additionalProperties: false },
      ),
      { maxItems: 100_000 },
    ),
  },
  { additionalProperties: false },
);
const check = checker("roster", Roster);

/** All of it or nothing: one bad entry refuses the roster and names the entry. */
export function parseRoster(bytes: Uint8Array): Result<Enrolment[]> {
  const json = parseJson(bytes, "roster");
  const roster = json.ok ? check(json.value) : json;
  if (!roster.ok) return roster;
  const nodes = new Map<string, Enrolment>();
  for (const { name, publicKey, operator } of roster.value.nodes) {
    const key = parseDevicePublicKey(publicKey);
    if (!key.ok) return reject(key.rejection.code, `roster: ${name}: ${key.rejection.detail}`);
    const nodeId = nodeIdOf(key.value);
    const other = nodes.get(nodeId);
    if (other) return reject("schema-mismatch", `roster: ${name} and ${other.name} have the same key`);
    nodes.set(nodeId, { nodeId, name, operator: operator as Address, publicKey: key.value, evidenceLevel: "software" });
  }
  return { ok: true, value: [...nodes.values()] };
}
