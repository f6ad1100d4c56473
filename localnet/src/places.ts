/**
 * Where the parts of a laboratory run: all on loopback, or each in a network namespace of its own, so that a test can cut the line between
 * any two of them. Namespaces need root and the programs ip and iptables.
 */
import { spawnSync } from "node:child_process";

export type Command = { readonly command: string; readonly args: readonly string[] };

export type Place = {
  /** Address that the part listens on and is reached at. */
  readonly host: string;
  /** The command as it is started there. */
  wrap(command: string, args: readonly string[]): Command;
};

export type Places = {
  at(name: string): Place;
  /** Packets between two places are dropped from now on, both ways. */
  cut(one: string, other: string): void;
  mend(one: string, other: string): void;
  close(): void;
};

export const loopback: Places = {
  at: () => ({ host: "127.0.0.1", wrap: (command, args) => ({ command, args }) }),
  cut() {
    throw new Error("lines between parts on loopback cannot be cut");
  },
  mend() {},
  close() {},
};

/** Why this machine cannot make namespaces; undefined when it can. */
export function namespacesMissing(): string | undefined {
  if (process.getuid?.() !== 0) return "network namespaces need root";
  for (const program of ["ip", "iptables"])
    if (spawnSync(program, ["-V"]).error) return `the program ${program} is not installed`;
  const probe = `cairn-probe-${process.pid}`;
  const { status, stderr } = spawnSync("ip", ["netns", "add", probe], { encoding: "utf8" });
  if (status !== 0) return `this machine lets nobody make network namespaces: ${stderr.trim()}`;
  run("ip", "netns", "del", probe);
  return undefined;
}

/** One namespace per name, joined by a bridge in a namespace of its own; this process reaches them all. Throws when one cannot be made. */
export function openNamespaces(names: readonly string[]): Places {
  const tag = `cairn${process.pid}`;
  // A /24 that no two laboratories of this machine share.
  const subnet = `10.${64 + (process.pid % 64)}.${(process.pid >> 6) % 256}`;
  const hub = `${tag}-hub`;
  const outside = `${tag}o`;
  const hosts = new Map(names.map((name, index) => [name, `${subnet}.${10 + index}`]));
  const spaceOf = (name: string) => `${tag}-${name}`;
  const hostOf = (name: string) => {
    const host = hosts.get(name);
    if (host === undefined) throw new RangeError(`no place ${name}`);
    return host;
  };
  const within = (space: string, ...args: string[]) => run("ip", "netns", "exec", space, ...args);

  run("ip", "netns", "add", hub);
  within(hub, "ip", "link", "add", "bridge", "type", "bridge");
  within(hub, "ip", "link", "set", "bridge", "up");
  const join = (port: string) => {
    run("ip", "link", "set", port, "netns", hub);
    within(hub, "ip", "link", "set", port, "master", "bridge", "up");
  };
  run("ip", "link", "add", outside, "type", "veth", "peer", "name", `${tag}p`);
  join(`${tag}p`);
  run("ip", "addr", "add", `${subnet}.1/24`, "dev", outside);
  run("ip", "link", "set", outside, "up");
  for (const [index, name] of names.entries()) {
    const space = spaceOf(name);
    run("ip", "netns", "add", space);
    run("ip", "link", "add", `${tag}i${index}`, "type", "veth", "peer", "name", `${tag}h${index}`);
    join(`${tag}h${index}`);
    run("ip", "link", "set", `${tag}i${index}`, "netns", space);
    within(space, "ip", "link", "set", "lo", "up");
    within(space, "ip", "link", "set", `${tag}i${index}`, "name", "eth0");
    within(space, "ip", "addr", "add", `${hostOf(name)}/24`, "dev", "eth0");
    within(space, "ip", "link", "set", "eth0", "up");
  }

  const filter = (action: "-A" | "-D", one: string, other: string) => {
    within(spaceOf(one), "iptables", "-w", action, "INPUT", "-s", hostOf(other), "-j", "DROP");
    within(spaceOf(one), "iptables", "-w", action, "OUTPUT", "-d", hostOf(other), "-j", "DROP");
  };
  return {
    at: (name) => ({
      host: hostOf(name),
      wrap: (command, args) => ({ command: "ip", args: ["netns", "exec", spaceOf(name), command, ...args] }),
    }),
    cut: (one, other) => filter("-A", one, other),
    mend: (one, other) => filter("-D", one, other),
    close() {
      for (const name of names) spawnSync("ip", ["netns", "del", spaceOf(name)]);
      spawnSync("ip", ["netns", "del", hub]);
      spawnSync("ip", ["link", "del", outside]);
    },
  };
}

function run(command: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
}
