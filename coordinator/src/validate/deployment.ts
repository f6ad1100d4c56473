/** Where the network's contracts live. JSON, written by whoever deployed them. */
import { type Address, addressPattern, checker, parseJson, type Result } from "@cairn/protocol";
import Type from "typebox";

const EvmAddress = Type.String({ pattern: addressPattern });
const DeploymentFile = Type.Object({
  chainId: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  token: EvmAddress,
  verifierSet: EvmAddress,
  rewards: EvmAddress,
});
const check = checker("deployment", DeploymentFile);

export type Deployment = {
  readonly chainId: number;
  readonly token: Address;
  readonly verifierSet: Address;
  readonly rewards: Address;
};

export function parseDeployment(bytes: Uint8Array): Result<Deployment> {
  const json = parseJson(bytes, "deployment");
  return json.ok ? (check(json.value) as Result<Deployment>) : json;
}
