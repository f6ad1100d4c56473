/**
 * Answers beacons with evidence, once each; again after the connection was lost while their slot runs: that a broker acknowledged an answer
 * does not mean that it still has it, and an answer that comes twice is blameless.
 */
import type { Address, Beacon } from "@cairn/protocol";
import type { Log, Surroundings } from "../model.ts";

export type EvidenceOptions = {
  readonly surroundings: Surroundings;
  readonly log: Log;
  when(
    beacon: Beacon,
    retained: boolean,
    nowMs: number,
    chance: number,
  ): { answer: true; delayMs: number } | { answer: false; reason: string };
  /** Builds, signs and publishes the evidence for one beacon; rejects when it was not acknowledged. */
  send(beacon: Beacon): Promise<void>;
};

/** Beacons remembered, all verifiers together. */
const remembered = 512;

export function createEvidenceSender({ surroundings, log, when, send }: EvidenceOptions) {
  /** Beacons answered or about to be, by verifier and nonce: a verifier that restarts within a slot asks anew with another nonce. */
  const answered = new Set<string>();
  /** Of those, what the broker acknowledged, with the end of its slot. */
  const closings = new Map<string, number>();
  const timers = new Set<() => void>();
  let acknowledged = 0;

  async function answer(key: string, beacon: Beacon): Promise<void> {
    try {
      await send(beacon);
      acknowledged++;
      if (answered.has(key)) closings.set(key, beacon.closesAt);
      log.debug({ slot: beacon.slot }, "evidence acknowledged");
    } catch (cause) {
      answered.delete(key);
      log.warn(
        { slot: beacon.slot, cause: String(cause) },
        "evidence not acknowledged, the beacon is answered again on reconnect",
      );
    }
  }

  return {
    /** A beacon whose signature was verified. `retained`: kept by the broker, so perhaps old. */
    beacon(beacon: Beacon & { verifier: Address }, retained: boolean): void {
      const key = `${beacon.verifier} ${beacon.nonce}`;
      if (answered.has(key)) return;
      const decision = when(beacon, retained, surroundings.now(), surroundings.random());
      if (!decision.answer) {
        log.debug({ slot: beacon.slot, reason: decision.reason }, "beacon not answered");
        return;
      }
      answered.add(key);
      for (const oldest of answered) {
        if (answered.size <= remembered) break;
        answered.delete(oldest);
        closings.delete(oldest);
      }
      const cancel = surroundings.later(decision.delayMs, () => {
        timers.delete(cancel);
        void answer(key, beacon);
      });
      timers.add(cancel);
    },

    /** The connection is lost: beacons of slots that still run are answered again when they come again. */
    disconnected(): void {
      const nowMs = surroundings.now();
      for (const [key, closesAt] of closings) if (closesAt > nowMs) answered.delete(key);
      closings.clear();
    },

    /** Evidence that the broker acknowledged since the start. */
    acknowledged: () => acknowledged,

    close(): void {
      for (const cancel of timers) cancel();
      timers.clear();
    },
  };
}
