/** Who sends rubbish pays for it alone: too many refused messages in a short time cost the sender its connection for a while. */
import type { NodeId, RejectionCode } from "@cairn/protocol";

const windowMs = 10_000;
const mostRefused = 20;

/** Refusals that an honest node meets after a cut line: they carry no penalty. */
const blameless: ReadonlySet<RejectionCode> = new Set([
  "sequence-duplicate",
  "sequence-gap",
  "evidence-late",
  "evidence-duplicate",
]);

export type Penalties = {
  /** Notes a refusal; true when the sender is to be disconnected now. */
  note(nodeId: NodeId, code: RejectionCode, now: number): boolean;
  isShut(nodeId: string, now: number): boolean;
  /** Messages of senders that were shut out, but could not be disconnected. */
  ignored: number;
};

export function createPenalties(): Penalties {
  const senders = new Map<string, { since: number; refused: number; shutUntil: number }>();
  return {
    ignored: 0,
    note(nodeId, code, now) {
      if (blameless.has(code)) return false;
      const known = senders.get(nodeId);
      const isCurrent = known && (now - known.since < windowMs || now < known.shutUntil);
      const sender = isCurrent ? known : { since: now, refused: 0, shutUntil: 0 };
      sender.refused += 1;
      senders.set(nodeId, sender);
      if (sender.refused !== mostRefused) return false;
      sender.shutUntil = now + windowMs;
      return true;
    },
    isShut(nodeId, now) {
      const sender = senders.get(nodeId);
      return sender !== undefined && now < sender.shutUntil;
    },
  };
}
