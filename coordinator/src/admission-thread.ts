/**
 * A thread that judges arrivals: the checks of validate/admission.ts, away from the event loop that serves the sockets. Knows the
 * enrolled keys and the beacons that it is told of; the order of messages is kept.
 */
import { createPublicKey, type KeyObject } from "node:crypto";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import type { Beacon, Hex, NodeId } from "@cairn/protocol";
import type { JudgeMessage, JudgeSettings } from "./model.ts";
import { judgeArrival } from "./validate/admission.ts";

function serve(port: MessagePort, { time }: JudgeSettings): void {
  const keys = new Map<NodeId, KeyObject>();
  const beacons = new Map<Hex, Beacon>();
  const facts = {
    time,
    keyOf: (nodeId: NodeId) => keys.get(nodeId),
    beaconOf: (nonce: Hex) => beacons.get(nonce),
  };
  port.on("message", (message: JudgeMessage) => {
    if (message.kind === "keys") for (const [nodeId, pem] of message.keys) keys.set(nodeId, createPublicKey(pem));
    else if (message.kind === "beacons") {
      beacons.clear();
      for (const beacon of message.beacons) beacons.set(beacon.nonce, beacon);
    } else {
      const bytes = Buffer.from(message.payloads);
      let at = 0;
      const inputs = message.arrivals.map(({ length, ...arrival }) => {
        const payload = bytes.subarray(at, at + length);
        at += length;
        return judgeArrival({ ...arrival, payload }, facts);
      });
      port.postMessage(inputs);
    }
  });
}

if (parentPort) serve(parentPort, workerData as JudgeSettings);
