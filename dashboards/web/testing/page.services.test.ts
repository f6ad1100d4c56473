/** The built page in a real browser, against the scripted twin of the coordinator. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, before, beforeEach, test } from "node:test";
import type { NodeRow } from "@cairn/protocol";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { valley } from "./script.ts";
import { startTwin, type Twin } from "./twin.ts";

const desktop = { viewport: { width: 1280, height: 800 }, locale: "en-GB" } as const;
const phone = { viewport: { width: 390, height: 844 }, locale: "de-DE", isMobile: true, hasTouch: true } as const;
const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

type Look = Parameters<typeof chromium.launchPersistentContext>[1];
let twin: Twin;
let profile: string;
let context: BrowserContext | undefined;
/** What the browser complained of: errors of the script, and whatever the content security policy refused. */
let complaints: string[] = [];

before(() => execFileSync(process.execPath, [join(import.meta.dirname, "../build.ts")], { stdio: "inherit" }));

beforeEach(async () => {
  twin = await startTwin(valley(Date.now()));
  profile = mkdtempSync(join(tmpdir(), "cairn-page-"));
  complaints = [];
});

afterEach(async () => {
  await context?.close();
  context = undefined;
  await twin.close();
  rmSync(profile, { recursive: true, force: true });
});

async function open(path: string, look: Look = desktop): Promise<Page> {
  context = await chromium.launchPersistentContext(profile, {
    executablePath: "/usr/bin/chromium",
    args: flags,
    timezoneId: "Europe/Zurich",
    ...look,
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(10_000);
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  await page.goto(twin.url + path);
  return page;
}

function row(name: string): NodeRow {
  const found = twin.script.fleet.nodes.find((node) => node.name === name);
  assert.ok(found !== undefined);
  return found;
}

/** How far the page is wider than the screen, px. A phone's browser widens `innerWidth` with the page, so that says nothing. */
async function overhang(page: Page): Promise<number> {
  const width: number = await page.evaluate("document.documentElement.scrollWidth");
  return width - phone.viewport.width;
}

test("the fleet page answers its question in one sentence and says every state in words", async () => {
  const page = await open("/");
  await page
    .getByText(/^1 of 4 nodes is not earning: mast-2 offline since \d\d:\d\d \(its connection broke, last will\)\.$/)
    .waitFor();
  await page.getByText(/^Epoch 7: slot 6 of 12, ends in 1 min \d+ s$/).waitFor();
  const degraded = page.locator(`tr[data-node="${row("mast-3").nodeId}"]`);
  assert.match(await degraded.innerText(), /mast-3.*degraded.*since \d\d:\d\d.*no evidence for 1 slot/s);
  assert.equal(
    await degraded.getByRole("img").getAttribute("aria-label"),
    "Epoch 7: 6 ahead, 4 credited, 1 missed, 1 open",
  );
  assert.match(
    (await degraded.locator("title").nth(3).textContent()) ?? "",
    /^\d\d:\d\d:\d\d: missed, no valid evidence in time$/,
  );
  assert.deepEqual(complaints, []);
});

test("a row changes in place when the coordinator says so, and nothing more is asked", async () => {
  const page = await open("/");
  const changing = page.locator(`tr[data-node="${row("mast-2").nodeId}"]`);
  await changing.waitFor();
  const asked = twin.asked.toSorted();
  assert.deepEqual(asked, ["/events", "/fleet", "/network"]);
  twin.send("node", {
    ...row("mast-2"),
    state: "online",
    stateReason: "answers every slot",
    readingsStored: 77_777,
    lastHeardAt: Date.now(),
  });
  await changing.getByText("77,777").waitFor();
  await page.getByText("4 of 4 nodes are earning.").waitFor();
  assert.deepEqual(await page.locator("a.row-link").allInnerTexts(), ["mast-1", "mast-2", "mast-3", "mast-10"]);
  await page.waitForTimeout(2_500);
  assert.deepEqual(twin.asked.toSorted(), asked);
});

test("ages tick without a word from the coordinator", async () => {
  const page = await open("/");
  const age = page.locator(`tr[data-node="${row("mast-2").nodeId}"] .age`);
  const before = await age.innerText();
  await page.waitForTimeout(2_200);
  assert.notEqual(await age.innerText(), before);
});

test("keys go to pages, move through the list, search it and are listed", async () => {
  const page = await open("/");
  await page.locator("a.row-link").first().waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/nodes/${row("mast-2").nodeId}`);
  for (const [key, address] of [
    ["e", "/epochs"],
    ["r", "/refused"],
    ["f", "/"],
  ] as const) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await page.waitForURL(twin.url + address);
  }
  await page.keyboard.press("g");
  await page.keyboard.press("e");
  await page.waitForURL("**/epochs");
  await page.keyboard.press("/");
  await page.keyboard.type("mast-1");
  await page.getByText("2 of 4 nodes").waitFor();
  assert.equal(page.url(), `${twin.url}/?q=mast-1`);
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("go to the epochs").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  assert.deepEqual(complaints, []);
});

test("a search that finds nothing says so and offers the way back", async () => {
  const page = await open("/?q=nowhere");
  await page.getByText("No node matches “nowhere”.").waitFor();
  await page.getByRole("link", { name: "Clear the search" }).click();
  assert.equal(await page.locator("a.row-link").count(), 4);
});

test("a node's page shows plots of every series, verdicts in words, refusals with remedy, and rewards", async () => {
  const { nodeId } = row("mast-2");
  const page = await open(`/nodes/${nodeId}`);
  await page.getByText(/^mast-2 is not earning: offline since \d\d:\d\d/).waitFor();
  assert.equal(await page.locator("figure.plot canvas").count(), 6);
  await page.getByText("No evidence with the slot's nonce arrived inside its window.").first().waitFor();
  await page.getByText("Check that the node signs with the key that was enrolled").waitFor();
  await page.getByText("148.81 CAIRN earned in all epochs.").waitFor();
  assert.equal(await page.getByTitle("148.809523809523809523 CAIRN").count(), 1);
  await page.getByRole("link", { name: "1 h", exact: true }).click();
  await page.waitForURL(`**/nodes/${nodeId}?range=1h`);
  assert.deepEqual(complaints, []);
});

test("a plot reads out the value under the cursor and takes readings as they come", async () => {
  const { nodeId } = row("mast-1");
  const page = await open(`/nodes/${nodeId}`);
  const voltage = page.locator('figure[data-series="power.voltage"]');
  const live = { series: "power.voltage", unit: "V", at: Date.now(), value: 11.11, quality: "good" };
  await voltage.locator("canvas").waitFor();
  const asked = twin.asked.length;
  twin.send("readings", { nodeId, series: [live] });
  await voltage.getByText("11.11 V").waitFor();
  assert.equal(twin.asked.length, asked);
  const box = await voltage.locator(".u-over").boundingBox();
  assert.ok(box !== null);
  await page.mouse.move(box.x + box.width * 0.25, box.y + box.height / 2);
  await voltage.getByText("11.11 V").waitFor({ state: "hidden" });
  assert.match(await voltage.locator(".value").innerText(), /^1[23](\.\d+)? V$/);
  assert.match(await voltage.locator(".when").innerText(), /^\d\d:\d\d:\d\d$/);
});

test("epochs are summed up in a sentence and open into claims, by a link that can be sent", async () => {
  const page = await open("/epochs?open=6");
  await page.getByText("600 CAIRN awarded in 6 epochs: 575 claimed, 25 to be claimed.").waitFor();
  await page.getByText("not yet claimed").waitFor();
  const [newest] = twin.script.epochs;
  assert.ok(newest !== undefined);
  const claims = newest.claims.map((claim) => ({ ...claim, transaction: claim.transaction ?? `0x${"ab".repeat(32)}` }));
  twin.send("epoch", { ...newest, state: "settled", claims });
  await page.getByText("600 CAIRN minted in 6 epochs, all claimed.").waitFor();
  const hash = page.locator('tr[data-epoch="6"] .hash code');
  assert.equal(await hash.getAttribute("title"), newest.transaction);
  assert.equal(await page.getByRole("button", { name: "2 claims" }).first().getAttribute("aria-expanded"), "true");
});

test("refused inputs are counted by code with sentence and remedy, and filtered by an address", async () => {
  const page = await open("/refused");
  await page.getByText("53 inputs were refused for 3 reasons, most often key-unknown (41).").waitFor();
  await page.getByRole("link", { name: "evidence-late" }).click();
  await page.waitForURL("**/refused?code=evidence-late");
  assert.equal(await page.locator(".refusals tbody tr").count(), 2);
  twin.send("rejections", { ...twin.script.rejections, total: 54 });
  await page.getByText(/^54 inputs were refused/).waitFor();
});

test("an error answer is shown with its own title and detail, and can be tried again", async () => {
  twin.fail("/epochs", {
    status: 503,
    title: "The ledger is busy",
    detail: "A migration runs; it ends within a minute.",
  });
  const page = await open("/epochs");
  await page.getByText("The ledger is busy").waitFor();
  await page.getByText("A migration runs; it ends within a minute.").waitFor();
  await page.getByText("HTTP 503, GET /api/v1/epochs?limit=200").waitFor();
  twin.fail("/epochs", null);
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("600 CAIRN awarded").waitFor();
});

test("a node that is not enrolled is answered with the coordinator's words and the way to the fleet", async () => {
  const page = await open(`/nodes/${"0".repeat(40)}`);
  await page.getByText("No such node").waitFor();
  await page.getByText("The fleet page lists every enrolled node.").waitFor();
});

test("a lost stream is said quietly, comes back by itself and brings what was missed", async () => {
  const page = await open("/");
  const state = page.locator(".link-state [role=status]");
  await page.getByText("live", { exact: true }).waitFor();
  twin.sick(true);
  await page.getByText("reconnecting", { exact: true }).waitFor();
  assert.equal(await page.locator("a.row-link").count(), 4);
  twin.script.fleet = { ...twin.script.fleet, at: Date.now(), nodes: twin.script.fleet.nodes.slice(0, 2) };
  twin.sick(false);
  await page.getByText("1 of 2 nodes is not earning").waitFor();
  assert.equal(await state.innerText(), "live");
  assert.equal(twin.streams(), 1);
});

test("a pause holds the values and resuming shows the newest", async () => {
  const page = await open("/");
  const changing = page.locator(`tr[data-node="${row("mast-1").nodeId}"]`);
  await changing.waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText(/^paused at \d\d:\d\d:\d\d$/).waitFor();
  twin.send("node", { ...row("mast-1"), readingsStored: 55_555 });
  await page.waitForTimeout(400);
  assert.equal(await changing.getByText("55,555").count(), 0);
  await page.getByRole("button", { name: "Resume" }).click();
  await changing.getByText("55,555").waitFor();
});

for (const path of ["/", "/epochs?open=6", "/refused", "node"]) {
  test(`on a phone ${path} reads in German without sideways scroll`, async () => {
    const page = await open(path === "node" ? `/nodes/${row("mast-2").nodeId}` : path, phone);
    await page.locator("html[lang=de] .sentence").waitFor();
    await page.waitForTimeout(500);
    assert.equal(await overhang(page), 0);
    assert.deepEqual(complaints, []);
  });
}

test("dark and light are two designs: ground and text swap their brightness", async () => {
  const page = await open("/", { ...desktop, colorScheme: "dark" });
  await page.locator("a.row-link").first().waitFor();
  const ground = (): Promise<string> => page.evaluate("getComputedStyle(document.body).backgroundColor");
  assert.equal(await ground(), "rgb(21, 23, 26)");
  await page.emulateMedia({ colorScheme: "light" });
  assert.equal(await ground(), "rgb(251, 251, 249)");
});
