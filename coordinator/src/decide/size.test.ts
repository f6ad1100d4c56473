import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { sizeFleet, sizeText } from "./size.ts";
import { brokerKinds, type FleetLoad, ledgerKinds } from "./size-load.ts";
import { type UnitCostName, type UnitCosts, unitCosts } from "./unit-costs.ts";

const million: FleetLoad = {
  nodes: 1_000_000,
  intervalSeconds: 60,
  readings: 50,
  payloadBytes: undefined,
  slotSeconds: 60,
  slotsPerEpoch: 60,
  keepReadingsDays: 30,
  keepEvidenceDays: 90,
  nodesPerOperator: 10,
  broker: "nats",
  ledger: "postgres",
  reconnectSeconds: 600,
  headRoom: 2,
};

const anyLoad: fc.Arbitrary<FleetLoad> = fc.record({
  nodes: fc.integer({ min: 1, max: 5_000_000 }),
  intervalSeconds: fc.integer({ min: 1, max: 3_600 }),
  readings: fc.integer({ min: 1, max: 500 }),
  payloadBytes: fc.option(fc.integer({ min: 1, max: 100_000 }), { nil: undefined }),
  slotSeconds: fc.integer({ min: 1, max: 3_600 }),
  slotsPerEpoch: fc.integer({ min: 1, max: 8_192 }),
  keepReadingsDays: fc.integer({ min: 1, max: 400 }),
  keepEvidenceDays: fc.integer({ min: 1, max: 400 }),
  nodesPerOperator: fc.integer({ min: 1, max: 1_000 }),
  broker: fc.constantFrom(...brokerKinds),
  ledger: fc.constantFrom(...ledgerKinds),
  reconnectSeconds: fc.integer({ min: 1, max: 3_600 }),
  headRoom: fc.integer({ min: 1, max: 10 }),
});

/** Counted in whole processes, servers and transactions: a little more of what they depend on may leave them as they are. */
const whole = ["ingest-processes", "brokers", "claims"];
/** Made of whole numbers, or of a part that does not grow with the fleet. */
const stepped = [...whole, "memory-all", "gas", "claim-time", "claim-share"];
/** Of one batch, or of the clock: the same for a fleet of any size. */
const perNode = ["payload", "epochs"];
function valuesOf(load: FleetLoad, costs: UnitCosts = unitCosts): Map<string, number> {
  return new Map(sizeFleet(load, costs).lines.map(({ name, value }) => [name, value]));
}

function changedBetween(before: FleetLoad, after: FleetLoad): string[] {
  const old = valuesOf(before);
  return [...valuesOf(after)].filter(([name, value]) => value !== old.get(name)).map(([name]) => name);
}

function near(actual: number | undefined, expected: number, what: string): void {
  assert.ok(
    Math.abs((actual ?? Number.NaN) - expected) <= 1e-9 * Math.max(1, expected),
    `${what}: ${actual}, not ${expected}`,
  );
}

describe("what grows with the fleet", () => {
  test("more nodes make no line smaller", () => {
    fc.assert(
      fc.property(anyLoad, fc.integer({ min: 1, max: 1_000_000 }), (load, more) => {
        const larger = valuesOf({ ...load, nodes: load.nodes + more });
        for (const [name, value] of valuesOf(load)) assert.ok((larger.get(name) ?? -1) >= value, name);
      }),
    );
  });

  test("twice the nodes are twice of everything but whole numbers and what one node has", () => {
    fc.assert(
      fc.property(anyLoad, (load) => {
        const doubled = valuesOf({ ...load, nodes: 2 * load.nodes });
        for (const [name, value] of valuesOf(load))
          if (!stepped.includes(name) && !perNode.includes(name)) near(doubled.get(name), 2 * value, name);
      }),
    );
  });

  test("half the interval is twice the batches and leaves evidence as it is", () => {
    fc.assert(
      fc.property(anyLoad, (load) => {
        const before = valuesOf(load);
        const after = valuesOf({ ...load, intervalSeconds: load.intervalSeconds / 2 });
        for (const name of ["batches", "readings", "storage-readings", "ingest-receipts"])
          near(after.get(name), 2 * (before.get(name) ?? 0), name);
        for (const name of ["evidence", "evidence-peak", "storage-evidence", "storm", "verifier"])
          assert.equal(after.get(name), before.get(name), name);
      }),
    );
  });

  test("no line is negative, endless or undefined", () => {
    fc.assert(
      fc.property(anyLoad, (load) => {
        for (const [name, value] of valuesOf(load))
          assert.ok(Number.isFinite(value) && value >= 0, `${name}: ${value}`);
      }),
    );
  });
});

describe("which lines an input moves", () => {
  const network = ["network-in", "network-out"];
  const cores = ["ingest-processes", "cores", "memory-all"];
  const epochly = ["settler", "storage-epochs", "storage-year", "epochs", "claim-share"];
  const cases: readonly [change: Partial<FleetLoad>, moved: readonly string[]][] = [
    [
      { intervalSeconds: 20 },
      [
        "batches",
        "readings",
        "keep-alives",
        "receipts",
        ...network,
        "network-inside",
        "network-replicas",
        "ingest-front",
      ]
        .concat(["ingest-judging", "ingest-ledger", "ingest-receipts", ...cores, "broker", "postgres", "jetstream"])
        .concat(["storage-readings", "storage-kept", "rows", "commits", "database-write", "database-log"]),
    ],
    [
      { readings: 500 },
      [
        "readings",
        "payload",
        "network-in",
        "network-inside",
        "network-replicas",
        "ingest-judging",
        "ingest-ledger",
      ].concat([...cores, "postgres", "storage-readings", "storage-kept", "rows", "database-write", "database-log"]),
    ],
    [{ payloadBytes: 5_000 }, ["payload", "network-in", "network-inside", "network-replicas"]],
    [
      { slotSeconds: 20 },
      ["evidence", "evidence-peak", "keep-alives", "receipts", ...network, "network-inside", "network-replicas"]
        .concat(["ingest-front", "ingest-judging", "ingest-ledger", ...cores, "verifier", "placer", "api", "broker"])
        .concat(["postgres", "jetstream", "storage-evidence", "storage-kept", "rows", "commits", "database-write"])
        .concat(["database-log", ...epochly]),
    ],
    [{ slotsPerEpoch: 30 }, ["verifier", "cores", ...epochly]],
    [{ keepReadingsDays: 1 }, ["storage-kept"]],
    [{ keepEvidenceDays: 1 }, ["storage-kept"]],
    [{ nodesPerOperator: 100 }, ["claims", "gas", "claim-time", "claim-share"]],
    [{ reconnectSeconds: 60 }, ["storm-spread"]],
    [{ headRoom: 4 }, ["ingest-processes", "cores", "memory-all", "brokers"]],
  ];
  for (const [change, moved] of cases)
    test(`${JSON.stringify(change).slice(1, -1)} moves what depends on it, and nothing else`, () => {
      assert.deepEqual(changedBetween(million, { ...million, ...change }).sort(), [...moved].sort());
    });

  test("every input of a load is among those cases, but nodes and the kinds of broker and ledger", () => {
    const tried = cases.flatMap(([change]) => Object.keys(change));
    assert.deepEqual([...tried, "nodes", "broker", "ledger"].sort(), Object.keys(million).sort());
  });
});

describe("unit costs", () => {
  test("a line or a ceiling that a unit cost moves names it, with every broker and ledger", () => {
    const anyChange = fc.tuple(
      anyLoad,
      fc.constantFrom(...(Object.keys(unitCosts) as UnitCostName[])),
      fc.double({ min: 0.1, max: 10, noNaN: true }),
    );
    fc.assert(
      fc.property(anyChange, ([load, name, factor]) => {
        const { value } = unitCosts[name];
        const before = sizeFleet(load, unitCosts);
        const after = sizeFleet(load, { ...unitCosts, [name]: { ...unitCosts[name], value: value * factor } });
        for (const [index, line] of before.lines.entries())
          if (after.lines[index]?.value !== line.value) assert.ok(line.costs.includes(name), `${line.name}: ${name}`);
        for (const ceiling of before.ceilings)
          if (after.ceilings.find((each) => each.name === ceiling.name)?.nodes !== ceiling.nodes)
            assert.ok(ceiling.costs.includes(name), `${ceiling.name}: ${name}`);
      }),
      { numRuns: 300 },
    );
  });

  test("what is only counted is made of no unit cost, a signature of its own", () => {
    const { lines } = sizeFleet(million, unitCosts);
    const costsOf = (name: string) => lines.find((line) => line.name === name)?.costs;
    assert.deepEqual(costsOf("batches"), []);
    assert.deepEqual(costsOf("ingest-receipts"), ["storageReceipt"]);
    assert.deepEqual(costsOf("verifier"), ["slotReceipt", "answerRow"]);
    assert.deepEqual(costsOf("gas"), ["rootGas", "claimGas"]);
  });

  test("every unit cost is above zero, says how it is known, and is used by a line or a ceiling", () => {
    const used = new Set<string>();
    for (const broker of brokerKinds)
      for (const ledger of ledgerKinds) {
        const { lines, ceilings } = sizeFleet({ ...million, broker, ledger }, unitCosts);
        for (const { costs } of [...lines, ...ceilings]) for (const name of costs) used.add(name);
      }
    for (const [name, { value, unit, measured }] of Object.entries(unitCosts)) {
      assert.ok(value > 0 && unit.length > 0, name);
      assert.match(
        measured,
        /^(?:measured on |counted|assumed|a setting|the default|forge snapshot|what a page)/,
        name,
      );
      assert.ok(used.has(name), `${name} is used by nothing`);
    }
  });
});

describe("what breaks first", () => {
  test("ceilings come lowest first, and are reached exactly by larger fleets", () => {
    fc.assert(
      fc.property(anyLoad, (load) => {
        const { ceilings } = sizeFleet(load, unitCosts);
        assert.ok(ceilings.length >= 4);
        for (const [index, { nodes, reached }] of ceilings.entries()) {
          assert.ok(nodes >= (ceilings[index - 1]?.nodes ?? 0));
          assert.equal(reached, load.nodes > nodes);
        }
      }),
    );
  });

  test("a ceiling is where its line is full: at that many nodes a verifier signs for just one slot", () => {
    const { ceilings } = sizeFleet(million, unitCosts);
    const nodes = ceilings.find(({ name }) => name === "slot receipts")?.nodes ?? 0;
    near(Math.round(1e4 * (valuesOf({ ...million, nodes }).get("verifier") ?? 0)) / 1e4, 1, "cores of the verifier");
  });

  test("connections are the embedded broker's ceiling and nobody else's", () => {
    for (const broker of brokerKinds) {
      const names = sizeFleet({ ...million, broker }, unitCosts).ceilings.map(({ name }) => name);
      assert.equal(names.includes("embedded connections"), broker === "embedded");
    }
  });
});

describe("the report in words", () => {
  test("it prints every line with its assumption, every ceiling, and how each unit cost is known", () => {
    fc.assert(
      fc.property(anyLoad, (load) => {
        const report = sizeFleet(load, unitCosts);
        const text = sizeText(report).split("\n");
        for (const { label, assumption } of report.lines)
          assert.ok(
            text.some((line) => line.includes(`  ${label} `) && line.includes(assumption)),
            label,
          );
        for (const { name, reason } of report.ceilings)
          assert.ok(
            text.some((line) => line.includes(name) && line.includes(reason)),
            name,
          );
        for (const name of new Set([...report.lines, ...report.ceilings].flatMap(({ costs }) => costs)))
          assert.ok(
            text.some((line) => line.endsWith(unitCosts[name].measured)),
            name,
          );
      }),
      { numRuns: 20 },
    );
  });

  test("a number in brackets leads to the unit cost of that number", () => {
    const text = sizeText(sizeFleet(million, unitCosts));
    const [, mark] = text.match(/storage receipts .*\[(\d+)\]/) ?? [];
    assert.match(text, new RegExp(`\\[${mark}\\] +${unitCosts.storageReceipt.value} us/receipt`));
  });

  test("bytes take a prefix, whole numbers groups, fractions three digits", () => {
    const text = sizeText(sizeFleet(million, unitCosts));
    assert.match(text, /batches in +16,667\/s/);
    assert.match(text, /connections +23 GB/);
    assert.match(text, /spread on purpose +1\.3 cores/);
    assert.match(text, /one batch +720 B /);
  });

  test("the report is JSON as it stands", () => {
    const report = sizeFleet(million, unitCosts);
    assert.deepEqual(JSON.parse(JSON.stringify(report)).lines, report.lines);
  });
});
