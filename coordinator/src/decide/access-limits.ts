/** What every broker's configuration limits in the same way. */
import { limits } from "@cairn/protocol";

/** Unacknowledged messages on one connection: as many as a coordinator takes in at a time. */
export const inflightMessages = 2_048;
/** Messages kept for a coordinator that is away for some minutes; those of thousands of nodes. */
export const queuedMessages = 200_000;
export const queuedBytes = 268_435_456;
/** Largest packet, bytes: the payload with room for topic and properties. */
export const packetBytes = limits.messageBytes + 1_024;
/** Longest time that an unfinished session is kept, seconds. */
export const sessionSeconds = 3_600;
