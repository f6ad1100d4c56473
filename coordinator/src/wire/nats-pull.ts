/**
 * Pulls from a durable consumer, one bounded request after the other, so that none can stall for good: a request ends by itself within
 * seconds, or is given up. The endless form of the library was seen to fall silent after the death of a server.
 */
import type { JetStreamClient, JsMsg } from "nats";

export type PullFrom = { readonly stream: string; readonly consumer: string; readonly ended: AbortSignal };

/** Messages and time of one request. */
const batch = 512;
const expiresMs = 3_000;
/** A request that has neither ended nor brought anything for so long after its time is lost. */
const overdueMs = 2_000;

/**
 * Hands on each message, in order; waits while the promise that comes back is open. `begun` is called when the consumer was found. Returns
 * when `ended`; throws whatever the library throws, and when a request is lost.
 */
export async function pullMessages(
  client: JetStreamClient,
  { stream, consumer, ended }: PullFrom,
  take: (message: JsMsg) => Promise<void> | undefined,
  begun: () => void,
): Promise<void> {
  const source = await client.consumers.get(stream, consumer);
  begun();
  while (!ended.aborted) {
    const messages = await source.fetch({ max_messages: batch, expires: expiresMs });
    let heldBack = false;
    let heardAt = performance.now();
    let lost = false;
    const stop = () => messages.stop();
    const watchdog = setInterval(() => {
      if (heldBack || performance.now() - heardAt < expiresMs + overdueMs) return;
      lost = true;
      stop();
    }, 500);
    ended.addEventListener("abort", stop, { once: true });
    try {
      for await (const message of messages) {
        heardAt = performance.now();
        const busy = take(message);
        if (!busy) continue;
        heldBack = true;
        await busy;
        heldBack = false;
        heardAt = performance.now();
      }
    } finally {
      clearInterval(watchdog);
      ended.removeEventListener("abort", stop);
    }
    if (lost) throw new Error("a request for messages was not answered");
  }
}
