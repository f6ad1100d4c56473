import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LocalnetFault } from "./fault.ts";
import { parseSettings, usage } from "./settings.ts";

const refusal = (args: readonly string[]): LocalnetFault => {
  try {
    parseSettings(args, "/srv");
  } catch (error) {
    assert.ok(error instanceof LocalnetFault);
    assert.equal(error.code, "setting-refused");
    assert.equal(error.exitCode, 2);
    return error;
  }
  throw new assert.AssertionError({ message: `${args.join(" ")} was accepted` });
};

describe("the settings of npm start", () => {
  test("without flags nothing but defaults holds, and every port may move", () => {
    const settings = parseSettings([], "/srv");
    assert.equal(settings?.data, "/srv/.cairn");
    assert.deepEqual(settings?.shape, { nodes: undefined, slotSeconds: undefined, slotsPerEpoch: undefined });
    assert.deepEqual(
      Object.values(settings?.ports ?? {}).map(({ port, explicit }) => ({ port, explicit })),
      [8545, 1883, 8080].map((port) => ({ port, explicit: false })),
    );
    assert.deepEqual([settings?.fresh, settings?.json, settings?.epochs], [false, false, undefined]);
  });

  test("every flag reaches its setting", () => {
    const settings = parseSettings(
      "--nodes 5 --epochs 2 --json --fresh --slot-seconds 1 --slots-per-epoch 3 --mqtt-port 1999 --serial /dev/ttyACM0 --data net".split(
        " ",
      ),
      "/srv",
    );
    assert.deepEqual(settings?.shape, { nodes: 5, slotSeconds: 1, slotsPerEpoch: 3 });
    assert.deepEqual([settings?.epochs, settings?.json, settings?.fresh], [2, true, true]);
    assert.deepEqual([settings?.serial, settings?.data], ["/dev/ttyACM0", "/srv/net"]);
    assert.equal(settings?.ports.mqtt.port, 1999);
    assert.equal(settings?.ports.mqtt.explicit, true);
    assert.equal(settings?.ports.web.explicit, false);
  });

  for (const value of ["0", "51", "-1", "2.5", "1e1", "0x3", "three", " 3"])
    test(`--nodes "${value}" is refused by name, with its range`, () => {
      const { message } = refusal(["--nodes", value]);
      if (value !== "-1") assert.equal(message, `--nodes ${value}: a whole number from 1 to 50 is needed`);
    });

  test("an unknown flag, a stray word and an empty value are refused by name", () => {
    assert.match(refusal(["--knots", "3"]).message, /--knots/);
    assert.match(refusal(["three"]).message, /three/);
    assert.match(refusal(["--data", ""]).message, /--data is empty/);
  });

  test("one port asked for twice is refused before anything starts", () => {
    const { message } = refusal(["--chain-port", "9000", "--web-port", "9000"]);
    assert.equal(message, "--web-port 9000 is the port of the chain already (--chain-port)");
  });

  test("the help names every flag with its range and default", () => {
    assert.equal(parseSettings(["--help", "--nodes", "7"], "/srv"), undefined);
    const help = usage();
    for (const part of ["--nodes N", "1 to 50", "--slot-seconds N", "default 10", "--web-port PORT", "default 8080"])
      assert.ok(help.includes(part), `the help does not say "${part}"`);
  });
});
