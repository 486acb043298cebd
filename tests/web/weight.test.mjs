// How heavy the page is, how soon it can be used, and how it bears a long log.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, open, signIn, visit } from "./browser.mjs";
import { Service, until } from "./service.mjs";

/** Of the first page, over the wire, in bytes. */
const MOST = 100_000;
const LINES = 10_000;
let service, browser;

before(async () => {
  service = await Service.start({ FLOW_EXEC_ALLOW: "seq=/usr/bin/seq" });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await service?.remove();
});

test("the first page is light", async (report) => {
  const times = [];
  let bytes = 0, requests = 0;
  for (let visitor = 0; visitor < 5; visitor += 1) {
    const context = await browser.newContext();
    const page = await context.newPage();
    const wire = await context.newCDPSession(page);
    await wire.send("Network.enable");
    bytes = requests = 0;
    wire.on("Network.loadingFinished", (one) => { bytes += one.encodedDataLength; requests += 1; });
    await page.goto(`${service.base}/`);
    // It takes what is typed: the form has its handlers then.
    times.push(await page.evaluate(() => new Promise((over) => {
      const look = () => (document.activeElement?.id === "email" ? over(performance.now()) : requestAnimationFrame(look));
      look();
    })));
    await context.close();
  }
  times.sort((a, b) => a - b);
  report.diagnostic(`${bytes} bytes in ${requests} requests; interactive after ${Math.round(times[2])} ms (middle of five, the longest ${Math.round(times[4])} ms)`);
  assert.ok(bytes > 1000 && bytes < MOST, `${bytes} bytes`);
});

test("a second visit fetches the page alone", async (report) => {
  const page = await open(browser, service.base);
  const fetched = [];
  page.on("response", async (answer) => { if (!answer.fromServiceWorker() && answer.request().timing().requestStart > 0) fetched.push(new URL(answer.url()).pathname); });
  const wire = await page.context().newCDPSession(page);
  await wire.send("Network.enable");
  let bytes = 0;
  wire.on("Network.loadingFinished", (one) => { bytes += one.encodedDataLength; });
  await page.goto("about:blank");
  await page.goto(`${service.base}/`);
  await page.getByLabel("E-mail").waitFor();
  report.diagnostic(`${bytes} bytes`);
  assert.ok(bytes < 3000, `${bytes} bytes`);
  await page.context().close();
});

test("a log of 10,000 lines has few elements, all lines, and scrolls from end to end", async (report) => {
  const page = await open(browser, service.base);
  await signIn(page);
  const token = await service.token();
  // A step's program is heard for 500 lines.
  const count = (_, step) => ({ name: `count-${step}`, task: "exec", input: { program: "seq", args: ["-f", "line %.0f of many", String(step * 500 + 1), String(step * 500 + 500)] } });
  const flow = { name: "many", tasks: Array.from({ length: LINES / 500 }, count) };
  const run = await service.call("POST", "/flow-manager", { flow }, { Authorization: `Bearer ${token}` });
  assert.equal(run.status, "succeeded", JSON.stringify(run.error));
  await visit(page, `/runs/${run.id}`);
  const log = page.locator("main > section .log");
  await log.getByText(/^10,\d\d\d lines$/).waitFor();
  const view = log.locator(".view");
  await until("the end is in sight", async () => (await view.textContent()).includes(`line ${LINES} of many`));
  assert.ok(await log.locator(".line").count() < 200);
  const frames = await view.evaluate(async (element) => {
    const took = [];
    let before = performance.now();
    for (let at = element.scrollHeight; at > 0; at -= 1500) {
      element.scrollTop = at;
      await new Promise(requestAnimationFrame);
      took.push(performance.now() - before);
      before = performance.now();
    }
    element.scrollTop = 0;
    return took.sort((a, b) => a - b);
  });
  await until("the beginning is in sight", async () => (await view.textContent()).includes("line 1 of many"));
  report.diagnostic(`${frames.length} frames from end to beginning: middle ${frames[frames.length >> 1].toFixed(1)} ms, 95 of 100 within ${frames[Math.floor(frames.length * 0.95)].toFixed(1)} ms`);
  assert.equal(await log.getByRole("button", { name: "Follow", exact: true }).getAttribute("aria-pressed"), "false");
  const [download] = await Promise.all([page.waitForEvent("download"), log.getByRole("button", { name: "Download" }).click()]);
  const parts = [];
  for await (const part of await download.createReadStream()) parts.push(part);
  const lines = Buffer.concat(parts).toString().split("\n").filter((line) => /^line \d+ of many$/.test(line));
  assert.equal(lines.length, LINES);
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});
