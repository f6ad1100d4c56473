import { makeKeys, openIngestCase, routes } from "./zz-ingest.ts";
const keys = makeKeys(200);
for (const name of process.argv.slice(3)) {
  const route = routes.find((r) => r.name === name)!;
  const c = await openIngestCase(route, keys, 30);
  try { for (let i=0;i<3;i++) console.log(c.name, JSON.stringify(await c.run(Number(process.argv[2])))); } finally { await c.close(); }
}
