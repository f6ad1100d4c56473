/**
 * A program that is aedes and nothing else, which lets everybody in: what a connection costs below the coordinator's own part. Prints
 * {"port":..} and ends with its standard input.
 */
import { type AddressInfo, createServer } from "node:net";
import { Aedes } from "aedes";

if (import.meta.main) {
  const aedes = await Aedes.createBroker({ connectTimeout: 10_000, keepaliveLimit: 3_600, maxClientsIdLength: 64 });
  const server = createServer({ noDelay: true }, (socket) => void aedes.handle(socket));
  server.listen({ host: "127.0.0.1", port: 0, backlog: 4_096 }, () => {
    process.stdout.write(`${JSON.stringify({ port: (server.address() as AddressInfo).port })}\n`);
  });
  process.stdin.on("end", () => process.exit()).resume();
}
