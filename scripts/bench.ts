/** npm run bench -- NAME [arguments...]: runs bench/NAME.ts; without a name says which there are. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = dirname(import.meta.dirname);
const folder = join(root, "bench");

/** A benchmark says in its head how it is run; files without that line serve the others. */
function usageOf(name: string): string | undefined {
  const source = readFileSync(join(folder, `${name}.ts`), "utf8");
  return new RegExp(`npm run bench -- ${name}\\b.*`).exec(source)?.[0];
}

const usages = new Map(
  readdirSync(folder)
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.slice(0, -".ts".length))
    .sort()
    .flatMap((name) => {
      const usage = usageOf(name);
      return usage === undefined ? [] : [[name, usage] as const];
    }),
);
const names = [...usages.keys()];
const [name, ...args] = process.argv.slice(2);

if (name === undefined) {
  console.log(`benchmarks:\n${[...usages.values()].map((usage) => `  ${usage}`).join("\n")}`);
} else if (!names.includes(name)) {
  console.error(`there is no benchmark "${name}"; there are: ${names.join(", ")}`);
  process.exitCode = 2;
} else {
  const child = spawn(process.execPath, [join(folder, `${name}.ts`), ...args], { cwd: root, stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  const [code] = (await once(child, "exit")) as [number | null];
  process.exitCode = code ?? 1;
}
