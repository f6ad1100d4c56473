/**
 * The access policy of a network, written in the words of each broker: one list of files per kind. Pure: names, passwords, salts and
 * signed tokens are arguments. What Mosquitto and NATS make of it is held by tests against the real programs; EMQX, HiveMQ and VerneMQ
 * are written from their documentation and held by golden texts.
 */
import type { AccessFile, PasswordAccess, PasswordBroker } from "../model.ts";
import { emqxFiles } from "./access-emqx.ts";
import { hivemqFiles } from "./access-hivemq.ts";
import { mosquittoFiles } from "./access-mosquitto.ts";
import { vernemqFiles } from "./access-vernemq.ts";

const writers: Readonly<Record<PasswordBroker, (access: PasswordAccess) => readonly AccessFile[]>> = {
  mosquitto: mosquittoFiles,
  emqx: emqxFiles,
  hivemq: hivemqFiles,
  vernemq: vernemqFiles,
};

export function accessFiles(kind: PasswordBroker, access: PasswordAccess): readonly AccessFile[] {
  return writers[kind](access);
}
