import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import {
  BatchPayload,
  BeaconMessage,
  Birth,
  CoordinatorState,
  Death,
  dropReasons,
  EvidenceClaims,
  evidenceProfile,
  limits,
  NetworkDescriptor,
  nodeChannels,
  SlotReceiptMessage,
} from "../src/index.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const spelled = (word: string) => readme.includes(`\`${word}\``) || readme.includes(`/${word}\``);

test("the README names every field of every message", () => {
  const schemas = [BatchPayload, BeaconMessage, Birth, CoordinatorState, Death, EvidenceClaims, NetworkDescriptor];
  const fields = [...schemas, SlotReceiptMessage].flatMap(({ properties }) => Object.keys(properties));
  const { cairn, location } = EvidenceClaims.properties;
  const columns = Object.keys(BatchPayload.properties.series.items.properties);
  fields.push(
    "boot",
    "seq",
    ...Object.keys(cairn.properties),
    ...Object.keys(location.properties),
    ...dropReasons,
    evidenceProfile,
  );
  for (const field of fields) assert.ok(spelled(field), field);
  for (const column of columns) assert.ok(spelled(`series[].${column}`) || spelled(`.${column}`), column);
});

test("the README lists every channel on which nodes publish", () => {
  for (const channel of nodeChannels) assert.ok(spelled(channel), channel);
});

test("the sizes in the README are those that are held", () => {
  for (const bytes of [limits.smallMessageBytes, limits.messageBytes, limits.inflatedBytes])
    assert.ok(readme.includes(bytes.toLocaleString("en")), `${bytes}`);
});

test("every file that the README names is there", () => {
  const files = [...readme.matchAll(/`((?:src|golden|testing)\/[\w.-]+)`|\]\(([^)]+)\)/g)].map(
    ([, code, link]) => code ?? link,
  );
  assert.ok(files.length > 8);
  for (const file of files) assert.ok(existsSync(new URL(`../${file}`, import.meta.url)), file);
});
