import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { postgresFoundingOf } from "./postgres-ledger.ts";

/** Messages of a server that asks for a password: AuthenticationSASL and AuthenticationSASLContinue. */
const sasl = authentication(10, "SCRAM-SHA-256\0\0");
const goOn = authentication(11, "r=nonce,s=c2FsdA==,i=4096");

test("a database that asks for a password which was not given is refused with the option that gives it", async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.once("data", () => {
      socket.write(sasl);
      socket.once("data", () => socket.write(goOn));
    });
    socket.on("error", () => {});
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  try {
    await assert.rejects(postgresFoundingOf(`postgres://cairn@127.0.0.1:${port}/ledger`), {
      name: "CoordinatorFault",
      code: "setting-refused",
      message: "the database asks for a password: give --ledger-password-file",
    });
  } finally {
    // The driver leaves its end open.
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

function authentication(kind: number, text: string): Buffer {
  const head = Buffer.from("R\0\0\0\0\0\0\0\0");
  head.writeUInt32BE(8 + text.length, 1);
  head.writeUInt32BE(kind, 5);
  return Buffer.concat([head, Buffer.from(text)]);
}
