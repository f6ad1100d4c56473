/**
 * The closed list of reasons for which Cairn refuses an input. A stored verdict is "accepted" or one of these codes.
 * `docs/rejections.md` holds one section per code; a test keeps list and page together.
 * `sentence` says what happened, `remedy` what its operator can do about it.
 */
export const rejections = {
  "credential-malformed": {
    sentence: "The MQTT user name or password is not a NodeId with a token signed for this network.",
    remedy: "Connect with the NodeId as client id and user name and the signed token as password; cairn-node does so.",
  },
  "credential-stale": {
    sentence: "The connection token was signed too long ago or lies in the future.",
    remedy: "Set the node's clock (time synchronisation) and let it connect again.",
  },
  "key-unknown": {
    sentence: "No device key is enrolled under this NodeId.",
    remedy: "Enrol the node's public key with the network's admin, then start the node again.",
  },
  "key-mismatch": {
    sentence: "The signature names another key than the topic it came in on.",
    remedy: "Sign with the device key of the node whose topic is used.",
  },
  "signature-invalid": {
    sentence: "The signature does not fit the bytes and the enrolled key.",
    remedy: "Check that the node signs with the key that was enrolled and that nothing rewrites its messages.",
  },
  "topic-unknown": {
    sentence: "The topic is none on which this network takes messages from nodes.",
    remedy: "Use the topics of protocol version 1 and the network's own name.",
  },
  "topic-forbidden": {
    sentence: "The node published under another node's topic, or subscribed to one that is not open to it.",
    remedy: "Publish under the node's own topics only; subscribe to those, to beacons and the coordinator's state.",
  },
  "payload-too-large": {
    sentence: "The message is larger than the network takes.",
    remedy: "Send batches of at most 131072 bytes (1048576 when unpacked), other messages of at most 8192.",
  },
  "envelope-malformed": {
    sentence: "The signed envelope cannot be read: it is not a JWS of the expected form.",
    remedy: "Send evidence as JWS compact and batches as one line of detached JWS followed by the payload.",
  },
  "payload-malformed": {
    sentence: "The payload is not complete JSON in UTF-8 (or not complete zstd).",
    remedy: "Check the sender for truncation; cairn-node sends the batch again by itself.",
  },
  "schema-mismatch": {
    sentence: "The payload is JSON, but not of the shape that the protocol defines.",
    remedy: "Compare the payload with the schema that the detail names; update the node's software.",
  },
  "boot-regressed": {
    sentence: "The boot counter fell behind that of earlier evidence, or another boot id has used it already.",
    remedy: "Look for a second device with the same key or a restored disk image; enrol this device anew.",
  },
  "boot-mismatch": {
    sentence: "The boot id was seen before with another boot counter.",
    remedy: "Do not copy or edit the node's data folder; restart the node to begin a new boot.",
  },
  "sequence-duplicate": {
    sentence: "A batch with this boot id and sequence number is already stored, or was stated as dropped.",
    remedy: "Nothing is lost and nothing is to be done: the receipt was sent again.",
  },
  "sequence-gap": {
    sentence: "Batches between the last stored one and this one are missing and were not stated as dropped.",
    remedy: "The node sends again from the last stored sequence number; if it persists, restart the node.",
  },
  "nonce-unknown": {
    sentence: "The nonce in the evidence is none that this verifier issued for the slot it names.",
    remedy: "Check that the node trusts this network's verifiers; a nonce of more than two epochs ago is forgotten.",
  },
  "evidence-late": {
    sentence: "The evidence arrived after the window of its slot had closed.",
    remedy: "Check the node's uplink and load: an answer may come at any time within the slot.",
  },
  "evidence-duplicate": {
    sentence: "Evidence for this slot is already stored.",
    remedy: "Nothing is to be done unless a second device uses the same key.",
  },
  "identity-mismatch": {
    sentence: "The identity claimed inside the evidence is not the one whose key signed it.",
    remedy: "Let cairn-node build the evidence; do not edit its claims.",
  },
  "rate-exceeded": {
    sentence: "The sender had too many messages refused in a short time and was disconnected.",
    remedy: "Mend the first refused message listed for this node; the node may connect again after ten seconds.",
  },
} as const satisfies Record<string, { sentence: string; remedy: string }>;

export type RejectionCode = keyof typeof rejections;

export const rejectionCodes = Object.keys(rejections) as readonly RejectionCode[];
