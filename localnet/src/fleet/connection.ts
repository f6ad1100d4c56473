/** One connection of a simulated node: a bare socket, and the packets that come out of it. */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { type PacketHandler, takePackets } from "./frames.ts";

export type BrokerAddress = { readonly host: string; readonly port: number; readonly tls: boolean };

export type ConnectionListener = {
  open(): void;
  packet: PacketHandler;
  /** Once, however it ended, unless it was dropped from this side. */
  closed(reason: string): void;
};

export type Connection = {
  write(bytes: Buffer): void;
  /** Ends at once and without a word: the broker publishes the will. */
  drop(): void;
  /** Ends after what was written has gone out; resolves when it has ended. */
  end(): Promise<void>;
};

/** All plain sockets read into these bytes, one after the other: what a handler keeps, it copies. */
const readInto = Buffer.allocUnsafeSlow(65_536);

export function openConnection(
  broker: BrokerAddress,
  ca: Buffer | undefined,
  listener: ConnectionListener,
): Connection {
  let pending: Buffer | undefined;
  let reason = "the connection was closed";
  let over = false;

  const received = (chunk: Buffer): void => {
    if (over) return;
    try {
      pending = takePackets(pending, chunk, (first, body) => {
        if (!over) listener.packet(first, body);
      });
    } catch (cause) {
      reason = (cause as Error).message;
      socket.destroy();
    }
  };
  const { host, port } = broker;
  const socket: Socket = broker.tls
    ? connectTls({ host, port, ...(ca ? { ca } : {}), ALPNProtocols: ["mqtt"] }, () => listener.open())
    : connectTcp(
        {
          ...{ host, port, noDelay: true },
          onread: {
            buffer: readInto,
            callback(length) {
              received(readInto.subarray(0, length));
              return true;
            },
          },
        },
        () => listener.open(),
      );
  if (broker.tls) socket.setNoDelay(true).on("data", received);
  socket.on("error", (cause: NodeJS.ErrnoException) => {
    reason = cause.code ?? cause.message;
  });
  socket.on("close", () => {
    if (over) return;
    over = true;
    listener.closed(reason);
  });
  return {
    write(bytes) {
      if (!over && !socket.destroyed) socket.write(bytes);
    },
    drop() {
      over = true;
      socket.destroy();
    },
    end() {
      over = true;
      return new Promise((resolve) => {
        socket.once("close", () => resolve());
        socket.end();
      });
    },
  };
}
