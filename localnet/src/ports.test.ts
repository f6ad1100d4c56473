import assert from "node:assert/strict";
import { type AddressInfo, createServer } from "node:net";
import { describe, test } from "node:test";
import { LocalnetFault } from "./fault.ts";
import { choosePorts, isFree } from "./ports.ts";
import { parseSettings } from "./settings.ts";

const wishes = (...args: string[]) => {
  const settings = parseSettings(args, "/work");
  assert.ok(settings);
  return settings.ports;
};
const freeExcept =
  (...taken: number[]) =>
  async (port: number) =>
    !taken.includes(port);

describe("the ports of the network", () => {
  test("are the default ones when those are free, without a word", async () => {
    const { ports, notes } = await choosePorts(wishes(), freeExcept());
    assert.deepEqual(ports, { chain: 8545, mqtt: 1883, web: 8080 });
    assert.deepEqual(notes, []);
  });

  test("move to the next free one when a default one is taken, and the note says part, port and flag", async () => {
    const { ports, notes } = await choosePorts(wishes(), freeExcept(1883, 1884));
    assert.deepEqual(ports, { chain: 8545, mqtt: 1885, web: 8080 });
    assert.deepEqual(notes, ["port 1883 is in use: the MQTT broker takes 1885 (--mqtt-port chooses)"]);
  });

  test("never move onto a port that another part was given by its flag", async () => {
    const { ports } = await choosePorts(wishes("--web-port", "1884"), freeExcept(1883));
    assert.deepEqual(ports, { chain: 8545, mqtt: 1885, web: 1884 });
  });

  test("stay where a flag put them: in use is refused with part, port and flag, exit code 2", async () => {
    await assert.rejects(choosePorts(wishes("--chain-port", "9545"), freeExcept(9545)), (error) => {
      assert.ok(error instanceof LocalnetFault);
      assert.equal(error.exitCode, 2);
      assert.equal(error.message, "port 9545, asked for the chain by --chain-port, is in use");
      assert.match(error.remedy, /--chain-port PORT/);
      return true;
    });
  });

  test("are given up, by name, when no port near the default one is free", async () => {
    await assert.rejects(
      choosePorts(wishes(), async (port) => port < 8545),
      /no port from 8545 to 8645 is free for the chain/,
    );
  });

  for (const address of ["127.0.0.1", "0.0.0.0"])
    test(`are seen as taken while something listens at ${address}, and as free after it`, async () => {
      const server = createServer();
      await new Promise<void>((done) => server.listen(0, address, done));
      const { port } = server.address() as AddressInfo;
      assert.equal(await isFree(port), false);
      await new Promise((done) => server.close(done));
      assert.equal(await isFree(port), true);
    });
});
