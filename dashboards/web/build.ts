/**
 * Builds the web page when its sources or tools changed since the last build, else says so and ends at once:
 * `node dashboards/web/build.ts`. The page is built aside and renamed into `dist/`, with its stamp inside, so a server
 * that runs meanwhile never sees half a page and a build that was interrupted is never taken for a finished one.
 */
import { createHash } from "node:crypto";
import { globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = import.meta.dirname;
const dist = join(root, "dist");
const stampName = "build.json";

/** Hex SHA-256 over every file that the page is made of; package.json pins the exact versions of the packages that make it. */
function sourcesHash(): string {
  const hash = createHash("sha256");
  const sources = [
    "index.html",
    "package.json",
    "vite.config.ts",
    "build.ts",
    ...globSync("{src,public}/**/*.*", { cwd: root }),
  ];
  for (const file of sources.filter((name) => !name.endsWith(".test.ts")).sort()) {
    const bytes = readFileSync(join(root, file));
    hash.update(`${file.replaceAll("\\", "/")} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest("hex");
}

function stampOf(folder: string): string | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, stampName), "utf8")).sources;
  } catch {
    return undefined;
  }
}

/** Puts `built` in the place of `dist/`. Of two builds at once the later one stays; both hold the same page. */
function swapIn(built: string, aside: string): void {
  try {
    renameSync(dist, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  try {
    renameSync(built, dist);
  } catch (error) {
    if (stampOf(dist) !== stampOf(built)) throw error;
  }
}

const sources = sourcesHash();
if (stampOf(dist) === sources) {
  console.log("web page up to date");
} else {
  const startedAt = performance.now();
  const work = join(root, ".build", String(process.pid));
  mkdirSync(work, { recursive: true });
  try {
    const { build } = await import("vite");
    const built = join(work, "new");
    await build({
      configFile: join(root, "vite.config.ts"),
      logLevel: "warn",
      build: { outDir: built, emptyOutDir: true },
    });
    writeFileSync(join(built, stampName), `${JSON.stringify({ sources })}\n`);
    swapIn(built, join(work, "old"));
    console.log(`web page built in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
