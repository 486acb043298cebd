// A learner's way: sign in, launch, watch, hand in, talk, finish; and what gets in the way of it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { another, launch, open, signIn, visit } from "./browser.mjs";
import { Cable } from "./cable.mjs";
import { EMAIL, PASSWORD, Service, until } from "./service.mjs";

const LAUNCHED = 'Launch Servers, one after another';
let service, browser;

before(async () => {
  service = await Service.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await service?.remove();
});

test("a wrong password is told in plain words, and the right one lands on the welcome page", async () => {
  const page = await open(browser, service.base, { expect: ["401"] });
  await page.getByLabel("E-mail").fill(EMAIL);
  await page.getByLabel("Password").fill("not this one");
  await page.keyboard.press("Enter");
  await page.getByText("do not go together").waitFor();
  assert.equal(await page.getByRole("button", { name: /^Continue with/ }).count(), 0, "there is no provider");
  await signIn(page);
  assert.equal(await page.getByRole("heading", { level: 2 }).count() >= 2, true);
  assert.deepEqual(page.complaints(), []);
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  assert.doesNotMatch(stored, /eyJ|fmr_/, "a token is in the browser's storage");
  await page.context().close();
});

test("the sign-in survives a reload, and a sign-out ends it", async () => {
  const page = await open(browser, service.base);
  await signIn(page);
  await page.reload();
  await page.getByRole("heading", { name: /^Welcome/ }).waitFor();
  await page.locator("details.who > summary").click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in to Flow Manager" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Sign in to Flow Manager" }).waitFor();
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("a new account can be made, and a password that will not do is told why", async () => {
  const page = await open(browser, service.base, { expect: ["422"] });
  await page.getByRole("button", { name: "Make an account" }).click();
  await page.getByLabel("E-mail").fill("grace@example.org");
  await page.getByLabel("Password").fill("password");
  await page.getByRole("button", { name: "Make the account" }).click();
  await page.getByRole("alert").filter({ hasText: /\w/ }).waitFor();
  await page.getByLabel("Password").fill("a compiler of one's own");
  await page.getByRole("button", { name: "Make the account" }).click();
  await page.getByRole("heading", { name: /^Welcome/ }).waitFor();
  assert.equal(await page.getByRole("link", { name: "Users" }).count(), 0);
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("a lab from its launch to its finish", async () => {
  const page = await open(browser, service.base, { expect: ["422"] });
  await signIn(page);
  await page.getByRole("button", { name: "Launch Hello, Terraform" }).click();
  await page.locator(".outputs code").waitFor();
  const word = /word is (\w+)/.exec(await page.locator(".outputs code").textContent())[1];

  const field = page.getByRole("textbox", { name: /^Your word/ });
  await field.fill("no such word");
  await page.getByRole("button", { name: "Hand in" }).click();
  await page.getByText("It should be written like this: 0a1b2c3d").waitFor();
  assert.equal(await field.getAttribute("aria-invalid"), "true");
  assert.equal(await page.evaluate(() => document.activeElement.name), "word");
  await field.fill("00000000");
  await page.getByRole("button", { name: "Hand in" }).click();
  await page.locator('[data-attempt="1"]').getByText("75 of 100").waitFor();
  await field.fill(word);
  await page.getByRole("button", { name: "Hand in" }).click();
  const second = page.locator('[data-attempt="2"]');
  await second.getByText("100 of 100").waitFor();
  assert.equal(await second.getByRole("row").count(), 6);
  await second.getByText("counts").waitFor();

  await page.getByRole("button", { name: "Finish" }).click();
  await page.getByRole("button", { name: "Not yet" }).click();
  await page.getByRole("button", { name: "Finish" }).click();
  await page.getByRole("button", { name: "Finish the lab" }).click();
  await page.getByText("The lab is finished.").waitFor();
  await visit(page, "/");
  await page.locator('[data-lab="hello-terraform"]').getByText("100 of 100, all of it").waitFor();
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("a launch is watched to its end over a kill and a restart of the service, and no line is lost or doubled", async () => {
  const page = await open(browser, service.base, { expect: ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "503", "ERR_NETWORK"] });
  await signIn(page);
  await page.getByRole("button", { name: LAUNCHED }).click();
  const bar = page.getByRole("progressbar");
  const percent = async () => Number(await bar.getAttribute("aria-valuenow"));
  await until("the bar has moved", async () => await percent() > 10);
  const run = await page.locator("[data-run]").getAttribute("data-run");
  const before = await percent();
  await service.end("SIGKILL");
  await page.getByText("The connection is lost").waitFor();
  assert.ok(await percent() >= before);
  await service.begin();
  await page.getByText("The connection is lost").waitFor({ state: "hidden" });
  // Kept while it is over the restart, so that the page has all of it to show.
  const seen = [];
  await until("the lab is ready", async () => {
    const now = await page.getByRole("progressbar").getAttribute("aria-valuenow", { timeout: 500 }).catch(() => null);
    if (now !== null) seen.push(Number(now));
    return page.getByRole("heading", { name: "Your lab" }).isVisible();
  });
  assert.deepEqual(seen, [...seen].sort((a, b) => a - b), "the bar went back");

  await visit(page, `/runs/${run}`);
  await page.locator(".badge[data-state=succeeded]").first().waitFor();
  assert.equal(await page.getByRole("progressbar").getAttribute("aria-valuenow"), "100");
  await eachLineOnce(page, page.locator("main > section .log"));
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("a laptop that sleeps during a launch wakes up to it, and no line is lost or doubled", async () => {
  const who = { email: "alan@example.org", password: "a machine that halts" };
  await service.call("POST", "/auth/register", who);
  const token = { Authorization: `Bearer ${(await service.call("POST", "/login", who)).token}` };
  const cable = await Cable.to(service.port);
  const page = await open(browser, cable.base, { expect: ["net::ERR"] });
  await signIn(page, who.email, who.password);
  await page.getByRole("button", { name: LAUNCHED }).click();
  const run = await page.locator("[data-run]").getAttribute("data-run");
  // The run by itself, in another tab: its log stays when the lab is ready.
  const other = await another(page.context(), cable.base, page.expect);
  await visit(other, `/runs/${run}`);
  const bar = other.getByRole("progressbar");
  await until("the bar has moved", async () => Number(await bar.getAttribute("aria-valuenow")) > 10);
  const before = Number(await bar.getAttribute("aria-valuenow"));
  const tabs = await Promise.all([page, other].map((tab) => page.context().newCDPSession(tab)));
  const asleep = (state) => Promise.all(tabs.map((tab) => tab.send("Page.setWebLifecycleState", { state })));
  await asleep("frozen");
  await page.context().setOffline(true);
  cable.pull();
  // Meanwhile the run goes on without anybody who looks.
  await until("the run went on", async () => {
    const { events } = await service.call("GET", `/flow-manager/runs/${run}/events?after=0`, null, token);
    return events.flatMap((event) => event.data?.lines ?? []).includes("server 3 line 4");
  });
  await asleep("active");
  await other.getByText("The connection is lost").waitFor();
  assert.ok(Number(await bar.getAttribute("aria-valuenow")) >= before);
  cable.plug();
  await page.context().setOffline(false);
  await other.getByText("The connection is lost").waitFor({ state: "hidden" });
  await page.getByRole("heading", { name: "Your lab" }).waitFor();
  await other.locator("h1 ~ span .badge[data-state=succeeded]").waitFor();
  const log = other.locator("main > section .log");
  await log.getByText("— The run is succeeded").waitFor();
  await eachLineOnce(other, log);
  for (const tab of [page, other]) assert.deepEqual(tab.complaints(), []);
  await page.context().close();
  cable.remove();
});

/** The servers' lines as they are in the download of a log. */
async function eachLineOnce(page, log) {
  const [download] = await Promise.all([page.waitForEvent("download"), log.getByRole("button", { name: "Download" }).click()]);
  const lines = (await text(download)).split("\n");
  for (let server = 0; server < 6; server += 1) {
    for (let line = 1; line <= 5; line += 1) {
      const found = lines.filter((one) => one === `server ${server} line ${line}`);
      assert.equal(found.length, 1, `server ${server} line ${line} is there ${found.length} times`);
    }
  }
}

test("a launch that is cancelled says what is done, and leaves nothing", async () => {
  const page = await open(browser, service.base, { expect: ["409"] });
  await page.getByRole("button", { name: "Make an account" }).click();
  await page.getByLabel("E-mail").fill("joan@example.org");
  await page.getByLabel("Password").fill("the third of three");
  await page.getByRole("button", { name: "Make the account" }).click();
  await page.getByRole("button", { name: LAUNCHED }).click();
  await until("something is made", async () => Number(await page.getByRole("progressbar").getAttribute("aria-valuenow")) > 5);
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByText("Then everything that was made for you is taken down again").waitFor();
  await page.getByRole("button", { name: "Cancel the launch" }).click();
  await page.getByText("The launch was cancelled, and what was made is taken down.").waitFor();
  await page.getByRole("button", { name: /^Launch/ }).waitFor();
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("two tabs talk to each other, and a guest with a name to both", async () => {
  const page = await open(browser, service.base);
  await signIn(page);
  await visit(page, "/rooms/lobby");
  const other = await another(page.context(), service.base);
  await visit(other, "/rooms/lobby");
  const say = async (who, words) => {
    await who.getByLabel("Say something in room lobby").fill(words);
    await who.keyboard.press("Enter");
  };
  await say(page, "is anybody there?");
  await other.getByText("is anybody there?").waitFor();
  const guest = await open(browser, service.base);
  await guest.getByRole("button", { name: "Only chat, by a name" }).click();
  await guest.getByLabel("Your name").fill("zoe");
  await guest.getByRole("button", { name: "Join", exact: true }).click();
  await guest.getByText("is anybody there?").waitFor();
  await say(guest, "<b>I am</b>");
  for (const one of [page, other]) await one.getByText("<b>I am</b>").waitFor();
  await guest.reload();
  await guest.getByText("is anybody there?").waitFor();
  assert.equal(await guest.getByRole("link", { name: "Labs" }).count(), 0);
  for (const one of [page, other, guest]) assert.deepEqual(one.complaints(), []);
  await page.context().close();
  await guest.context().close();
});

test("a login that was ended elsewhere is told of, and one can go on after signing in again", async () => {
  const page = await open(browser, service.base, { expect: ["401"] });
  await signIn(page);
  const admin = await service.token();
  assert.ok(admin);
  const cookies = await page.context().cookies(`${service.base}/auth`);
  await fetch(`${service.base}/auth/logout`, { method: "POST", headers: { Cookie: cookies.map((one) => `${one.name}=${one.value}`).join("; ") } });
  await visit(page, "/runs");
  await page.getByText("Sign in again to go on").waitFor();
  await page.getByLabel("E-mail").fill(EMAIL);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Runs" }).waitFor();
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

async function text(download) {
  const parts = [];
  for await (const part of await download.createReadStream()) parts.push(part);
  return Buffer.concat(parts).toString();
}

test("an access token that has expired is renewed without a word", async () => {
  const short = await Service.start({ FLOW_AUTH_ACCESS_TTL_S: "2" });
  try {
    const page = await open(browser, short.base);
    let renewals = 0;
    page.on("request", (request) => { if (request.url().endsWith("/auth/refresh")) renewals += 1; });
    await signIn(page);
    await visit(page, "/runs");
    await until("it was renewed twice", async () => renewals >= 2);
    await visit(page, "/");
    await page.getByRole("heading", { name: /^Welcome/ }).waitFor();
    await short.restart("SIGTERM");
    await page.reload();
    await page.getByRole("heading", { name: /^Welcome/ }).waitFor();
    assert.deepEqual(page.complaints().filter((text) => !/ERR_|503/.test(text)), []);
    await page.context().close();
  } finally {
    await short.remove();
  }
});
