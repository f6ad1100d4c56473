import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Contract, JsonRpcProvider } from "ethers";
import { anvilBinary, chainFiles, chainProgram, copyState, openChain, prepareState, readDeployment } from "./chain.ts";
import { deployerAccount, operatorAddresses, verifierAddress } from "./keys.ts";
import { choosePorts } from "./ports.ts";
import { lastLines, type Supervised, supervise } from "./processes.ts";
import { parseSettings } from "./settings.ts";

const scratch = mkdtempSync(join(tmpdir(), "cairn-chain-"));
after(() => rmSync(scratch, { recursive: true }));
let folders = 0;
const newFolder = () => join(scratch, `${++folders}`);

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

describe("the chain's state file", () => {
  test("needs nothing at the first start and when it is whole", () => {
    const data = newFolder();
    assert.equal(prepareState(data), undefined);
    write(chainFiles(data).state, '{"block":1}');
    assert.equal(prepareState(data), undefined);
    assert.equal(readFileSync(chainFiles(data).state, "utf8"), '{"block":1}');
  });

  test("is mended from its copy when it is torn, and that is said", () => {
    const data = newFolder();
    const { state } = chainFiles(data);
    write(state, '{"block":1}');
    copyState(data);
    write(state, '{"block":');
    assert.match(prepareState(data) ?? "", /put back/);
    assert.equal(readFileSync(state, "utf8"), '{"block":1}');
  });

  test("that is torn never replaces a whole copy, and without a copy refuses the start", () => {
    const data = newFolder();
    const { state, stateCopy } = chainFiles(data);
    write(state, '{"block":1}');
    copyState(data);
    write(state, "");
    copyState(data);
    assert.equal(readFileSync(stateCopy, "utf8"), '{"block":1}');
    rmSync(stateCopy);
    assert.throws(() => prepareState(data), { code: "data-unusable", remedy: /--fresh/ });
  });
});

describe("the deployment file", () => {
  test("is refused when it is torn, names no addresses or another chain", () => {
    const data = newFolder();
    assert.equal(readDeployment(data), undefined);
    const address = `0x${"a".repeat(40)}`;
    const whole = { chainId: 31_337, token: address, verifierSet: address, rewards: address };
    for (const text of ["{", JSON.stringify({ ...whole, token: "0x1" }), JSON.stringify({ ...whole, chainId: 1 })]) {
      write(chainFiles(data).deployment, text);
      assert.throws(() => readDeployment(data), { code: "data-unusable", remedy: /--fresh/ });
    }
    write(chainFiles(data).deployment, JSON.stringify(whole));
    assert.deepEqual(readDeployment(data), whole);
  });
});

test("a missing anvil is said with its remedy", () => {
  assert.match(anvilBinary(""), /anvil/);
});

describe("the guard between launcher and chain", () => {
  const start = (name: string, code: string) =>
    supervise(
      { ...chainProgram(process.execPath, scratch, 1), name, args: [...guardOnly(), process.execPath, "-e", code] },
      { logs: scratch, random: () => 0, clock: () => 0, say: () => {}, changed: () => {}, givenUp: () => {} },
    );
  const guardOnly = () => chainProgram("", scratch, 1).args.slice(0, 3);

  test("asks the program to end when the launcher's pipe closes, and waits until it has", async () => {
    const code = `process.on("SIGTERM", () => setTimeout(() => { console.log("written"); process.exit(0) }, 300));
      setInterval(() => {}, 1000); console.log("up")`;
    const part = start("guarded", code);
    while (lastLines(part.logFile, 1) !== "up") await sleep(20);
    await part.stop();
    assert.equal(lastLines(part.logFile, 1), "written");
  });

  test("ends when the program does, so that its death is seen", async () => {
    const part = start("short-lived", "process.exit(3)");
    const first = part.pid();
    for (let waited = 0; part.pid() === first; waited += 20) {
      assert.ok(waited < 5_000);
      await sleep(20);
    }
    await part.stop();
  });
});

test("the chain keeps contracts and balances over a restart, and a foreign deployment file is noticed", async () => {
  const data = newFolder();
  const settings = parseSettings(["--chain-port", "18545"], data);
  assert.ok(settings);
  const { ports } = await choosePorts({ chain: { ...settings.ports.chain, explicit: false } });
  const rpc = `http://127.0.0.1:${ports.chain}`;
  const verifier = verifierAddress(join(data, "coordinator", "verifier.key"));
  const start = (): Supervised =>
    supervise(chainProgram(anvilBinary(), data, ports.chain), {
      ...{ logs: join(data, "logs"), random: () => 0, clock: () => performance.now() },
      ...{ say: () => {}, changed: () => {}, givenUp: (fault) => assert.fail(fault) },
    });

  prepareState(data);
  const first = start();
  const chain = await openChain(rpc);
  const deployment = await chain.contracts(data, deployerAccount(), verifier);
  assert.equal(await chain.blockNumber(), 3);
  assert.deepEqual(await chain.balances(deployment.token, operatorAddresses()), [0n, 0n]);
  chain.close();
  await first.stop();

  const second = start();
  try {
    const again = await openChain(rpc);
    assert.deepEqual(await again.contracts(data, deployerAccount(), verifier), deployment);
    assert.equal(await again.blockNumber(), 3);
    const provider = new JsonRpcProvider(rpc, 31_337, { staticNetwork: true });
    const read = async (address: string, name: string) =>
      String(await new Contract(address, [`function ${name}() view returns (address)`], provider).getFunction(name)());
    assert.equal((await read(deployment.token, "minter")).toLowerCase(), deployment.rewards);
    assert.equal((await read(deployment.rewards, "verifierSet")).toLowerCase(), deployment.verifierSet);
    provider.destroy();
    write(chainFiles(data).deployment, JSON.stringify({ ...deployment, rewards: `0x${"9".repeat(40)}` }));
    await assert.rejects(again.contracts(data, deployerAccount(), verifier), {
      code: "data-unusable",
      message: /no contract at 0x9{40}/,
      remedy: /--fresh/,
    });
    again.close();
  } finally {
    await second.stop();
  }
});
