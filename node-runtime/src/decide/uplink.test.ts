import assert from "node:assert/strict";
import { test } from "node:test";
import { type BootId, rejectionCodes } from "@cairn/protocol";
import fc from "fast-check";
import type { Boot, Outstanding, UplinkLimits, UplinkState } from "../model.ts";
import { backoffMs } from "./backoff.ts";
import { meaningOfRefusal, nextUplinkSteps } from "./uplink.ts";

const boot: Boot = { id: "b".repeat(32) as BootId, count: 7 };
const earlier: Boot = { id: "a".repeat(32) as BootId, count: 6 };
const limits: UplinkLimits = { window: 4, batchReadings: 100, batchMs: 2_000, graceMs: 1_500, refusals: 3 };
const nowMs = 1_000_000;

const batch = (sequence: number, more: Partial<Outstanding> = {}): Outstanding => ({
  boot,
  sequence,
  readings: 100,
  inFlight: false,
  refusals: 0,
  ...more,
});

const steps = (more: Partial<UplinkState>) =>
  nextUplinkSteps(
    {
      nowMs,
      boot,
      connectedAtMs: 0,
      coordinator: "online",
      pausedUntilMs: 0,
      lostAtMs: undefined,
      outstanding: [],
      openTails: [],
      queued: { results: 0, telemetry: 0 },
      queuedSinceMs: { results: nowMs, telemetry: nowMs },
      ...more,
    },
    limits,
  );

test("nothing is done without a connection or while the coordinator says it is offline", () => {
  const queued = { results: 500, telemetry: 0 };
  assert.deepEqual(steps({ connectedAtMs: undefined, queued }), [{ kind: "wait", untilMs: undefined }]);
  assert.deepEqual(steps({ coordinator: "offline", queued, outstanding: [batch(1)] }), [
    { kind: "wait", untilMs: undefined },
  ]);
});

test("a coordinator that says nothing is taken as online after the grace", () => {
  const unheard = { coordinator: "unheard", outstanding: [batch(1)] } as const;
  assert.deepEqual(steps({ ...unheard, connectedAtMs: nowMs - 1_000 }), [{ kind: "wait", untilMs: nowMs + 500 }]);
  assert.equal(steps({ ...unheard, connectedAtMs: nowMs - 1_500 })[0]?.kind, "send");
});

test("everything unsent is sent in order, before anything new is sealed", () => {
  const outstanding = [batch(4, { inFlight: true }), batch(5), batch(6)];
  const done = steps({ outstanding, queued: { results: 500, telemetry: 0 }, lostAtMs: nowMs + 1 });
  assert.deepEqual(
    done.map((step) => step.kind === "send" && step.batch.sequence),
    [5, 6],
  );
});

test("full batches are sealed at once, as many as the window has room for, results before telemetry", () => {
  const queued = { results: 1_000, telemetry: 1_000 };
  assert.deepEqual(steps({ queued }), [{ kind: "seal", priority: "results", batches: 4 }]);
  const one = [batch(1, { inFlight: true })];
  assert.deepEqual(steps({ queued: { results: 99, telemetry: 250 }, outstanding: one, lostAtMs: nowMs + 1 }), [
    { kind: "seal", priority: "telemetry", batches: 2 },
  ]);
});

test("a part of a batch is sealed when its oldest reading has waited long enough, and not before", () => {
  const queued = { results: 0, telemetry: 3 };
  const since = (ms: number) => ({ results: nowMs, telemetry: nowMs - ms });
  assert.deepEqual(steps({ queued, queuedSinceMs: since(1_999) }), [{ kind: "wait", untilMs: nowMs + 1 }]);
  assert.deepEqual(steps({ queued, queuedSinceMs: since(2_000) }), [
    { kind: "seal", priority: "telemetry", batches: 1 },
  ]);
});

test("with a full window nothing is sealed, and the wait ends when the oldest counts as lost", () => {
  const outstanding = [1, 2, 3, 4].map((sequence) => batch(sequence, { inFlight: true }));
  const full = { outstanding, queued: { results: 1_000, telemetry: 0 } };
  assert.deepEqual(steps({ ...full, lostAtMs: nowMs + 70 }), [{ kind: "wait", untilMs: nowMs + 70 }]);
  assert.deepEqual(steps({ ...full, lostAtMs: nowMs }), [{ kind: "start-over", reason: "no-receipt" }]);
});

test("a pause holds back sending, but not setting aside", () => {
  assert.deepEqual(steps({ pausedUntilMs: nowMs + 9, outstanding: [batch(1)] }), [
    { kind: "wait", untilMs: nowMs + 9 },
  ]);
  const refused = batch(1, { refusals: 3, refusedWith: "schema-mismatch" });
  assert.equal(steps({ pausedUntilMs: nowMs + 9, outstanding: [refused] })[0]?.kind, "set-aside");
  assert.equal(steps({ outstanding: [{ ...refused, refusals: 2 }] })[0]?.kind, "send");
});

test("an earlier boot is abandoned when it is refused as a whole or its statements are, the running one never", () => {
  const refused = { boot: earlier, refusals: 3, refusedWith: "boot-regressed" } as const;
  assert.deepEqual(steps({ outstanding: [batch(1, refused)] }), [
    { kind: "abandon-boot", boot: earlier, code: "boot-regressed" },
  ]);
  const statement = { boot: earlier, refusals: 3, refusedWith: "schema-mismatch", readings: 0 } as const;
  assert.equal(steps({ outstanding: [batch(1, statement)] })[0]?.kind, "abandon-boot");
  assert.equal(steps({ outstanding: [batch(1, { ...statement, readings: 5 })] })[0]?.kind, "set-aside");
  assert.equal(steps({ outstanding: [batch(1, { ...statement, boot })] })[0]?.kind, "set-aside");
});

test("losses that no batch states are stated: of an earlier boot at once, of this one when nothing else will", () => {
  assert.deepEqual(steps({ openTails: [earlier, boot], queued: { results: 500, telemetry: 0 } }), [
    { kind: "seal-statement", boot: earlier },
  ]);
  assert.equal(steps({ openTails: [boot], queued: { results: 5, telemetry: 0 } })[0]?.kind, "wait");
  assert.deepEqual(steps({ openTails: [boot] }), [{ kind: "seal-statement", boot }]);
});

test("every answer is either work or one wait, and a wait lies ahead", () => {
  const outstanding = fc.array(
    fc.record({ sequence: fc.nat(99), inFlight: fc.boolean(), refusals: fc.nat(3), readings: fc.nat(500) }),
    { maxLength: 4 },
  );
  fc.assert(
    fc.property(
      outstanding,
      fc.nat(600),
      fc.nat(600),
      fc.option(fc.integer({ min: -5_000, max: 5_000 })),
      fc.integer({ min: -5_000, max: 5_000 }),
      (batches, results, telemetry, lost, paused) => {
        const answer = steps({
          outstanding: batches.map((each) => batch(each.sequence, { ...each, refusedWith: "schema-mismatch" })),
          queued: { results, telemetry },
          lostAtMs: lost === null ? undefined : nowMs + lost,
          pausedUntilMs: nowMs + paused,
        });
        assert.ok(answer.length > 0);
        const waits = answer.filter((step) => step.kind === "wait");
        assert.equal(waits.length, answer.some((step) => step.kind !== "wait") ? 0 : 1);
        for (const { untilMs } of waits) assert.ok(untilMs === undefined || untilMs > nowMs);
        const sealed = answer.reduce((sum, step) => sum + (step.kind === "seal" ? step.batches : 0), 0);
        assert.ok(batches.length + sealed <= limits.window);
      },
    ),
  );
});

test("only faults of one batch or one boot count against it; a missing key is waited out", () => {
  const meanings = Object.fromEntries(rejectionCodes.map((code) => [code, meaningOfRefusal(code)]));
  assert.equal(meanings["sequence-gap"], "gap");
  assert.equal(meanings["sequence-duplicate"], "ahead");
  for (const code of ["payload-too-large", "envelope-malformed", "payload-malformed", "schema-mismatch"])
    assert.equal(meanings[code], "batch", code);
  for (const code of ["boot-regressed", "boot-mismatch"]) assert.equal(meanings[code], "boot", code);
  for (const code of ["key-unknown", "rate-exceeded", "signature-invalid"]) assert.equal(meanings[code], "later", code);
});

test("the backoff doubles up to its ceiling and jitter takes off at most half", () => {
  assert.equal(backoffMs(0, 600, 10_000, 0), 600);
  assert.equal(backoffMs(3, 600, 10_000, 0), 4_800);
  assert.equal(backoffMs(9, 600, 10_000, 0), 10_000);
  assert.equal(backoffMs(5_000, 600, 10_000, 0), 10_000);
  assert.ok(backoffMs(0, 600, 10_000, 0.999) >= 300);
});
