import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";

const program = fileURLToPath(new URL("./accepting-child.ts", import.meta.url));

test("a process killed with SIGKILL at any moment loses nothing that it had called accepted", async () => {
  const folder = mkdtempSync(join(tmpdir(), "cairn-sigkill-"));
  try {
    for (let round = 0; round < 5; round++) {
      const data = mkdtempSync(join(folder, "data-"));
      const child = spawn(process.execPath, [program, data], { stdio: ["ignore", "pipe", "inherit"] });
      const killAfter = 20 + Math.floor(Math.random() * 200);
      const accepted: number[] = [];
      for await (const line of createInterface({ input: child.stdout })) {
        accepted.push(Number(line));
        if (accepted.length === killAfter) child.kill("SIGKILL");
      }
      if (child.signalCode === null) await once(child, "exit");
      assert.equal(child.signalCode, "SIGKILL");
      const db = new Database(join(data, "edge.sqlite"));
      const present = new Set(
        db.prepare("SELECT value FROM results UNION ALL SELECT value FROM telemetry").pluck().all(),
      );
      assert.equal(db.pragma("integrity_check", { simple: true }), "ok");
      db.close();
      for (const last of accepted)
        for (let value = last - 49; value <= last; value++)
          assert.ok(present.has(value), `${value} was accepted and is lost`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
