// Signing in by a provider: there and back, and what is said when nothing comes of it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { accessibility, launch, open, signIn } from "./browser.mjs";
import { Issuer } from "./issuer.mjs";
import { Service } from "./service.mjs";

// The provider's own pages ask for fonts that are elsewhere, and have no icon.
const AT_PROVIDER = ["net::ERR", "googleapis", "/favicon.ico"];
let service, browser, issuer;

before(async () => {
  service = await Service.start(async (base) => {
    const redirect = `${base}/auth/google/callback`;
    issuer = await Issuer.start(redirect);
    return {
      FLOW_OIDC_ISSUER: issuer.base, FLOW_OIDC_CLIENT_ID: "svc", FLOW_OIDC_CLIENT_SECRET: "svc-secret",
      FLOW_OIDC_REDIRECT_URL: redirect, FLOW_STATE_KEY: "5e".repeat(32),
    };
  });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await service?.remove();
  await issuer?.end();
});

const door = (page) => page.getByRole("button", { name: "Continue with your organisation" });
const refusal = (page, words) => page.getByRole("alert").filter({ hasText: words });

test("there and back: the first time makes the account, and the welcome page is where one lands", async () => {
  const page = await open(browser, service.base, { expect: AT_PROVIDER });
  await door(page).waitFor();
  assert.deepEqual(await accessibility(page), []);
  await door(page).click();
  await page.locator("input[name=login]").fill("ada");
  await page.locator("input[name=password]").fill("x");
  await page.locator("button[type=submit]").click();
  await page.locator("button[type=submit]").filter({ hasText: "Continue" }).click();
  await page.getByRole("heading", { name: "Welcome, Name" }).waitFor();
  assert.equal(page.url(), `${service.base}/`);
  await page.reload();
  await page.getByRole("heading", { name: "Welcome, Name" }).waitFor();
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  assert.doesNotMatch(stored, /eyJ|fmr_/, "a token is in the browser's storage");
  await page.locator("details.who > summary").click();
  await page.getByText("ada@example.test · learner").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  // The provider knows its guest by now, and asks nothing.
  await door(page).click();
  await page.getByRole("heading", { name: "Welcome, Name" }).waitFor();
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("one who does not agree there is told so, and may come in another way", async () => {
  const page = await open(browser, service.base, { expect: AT_PROVIDER });
  await door(page).click();
  await page.locator("input[name=login]").fill("eve");
  await page.locator("input[name=password]").fill("x");
  await page.locator("button[type=submit]").click();
  await page.locator("button[type=submit]").filter({ hasText: "Continue" }).waitFor();
  await page.locator("a[href*=abort]").click();
  await refusal(page, "You did not agree there").waitFor();
  assert.deepEqual(await accessibility(page), []);
  await page.reload();
  await signIn(page);
  assert.equal(new URL(page.url()).hash, "#/");
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("an answer to another sign-in, and one that nobody began, are told in plain words", async () => {
  const page = await open(browser, service.base, { expect: AT_PROVIDER });
  await page.goto(`${service.base}/auth/google`);
  await page.locator("input[name=login]").waitFor();
  await page.goto(`${service.base}/auth/google/callback?code=x&state=of-another`);
  await refusal(page, "That was the answer to another sign-in").waitFor();
  await page.goto(`${service.base}/auth/google/callback?code=x&state=y`);
  await refusal(page, "was begun elsewhere").waitFor();
  await page.goto(`${service.base}/#/sign-in?refused=%3Cimg%20src=x%3E`);
  await page.reload();
  await refusal(page, "did not come to its end").waitFor();
  assert.equal(await page.locator("main img[src=x]").count(), 0);
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("a provider that is away is told of, and a password still opens", async () => {
  await issuer.end();
  const page = await open(browser, service.base, { expect: AT_PROVIDER });
  // What it said of itself is known for an hour; a service that starts now has not heard it.
  await service.restart("SIGTERM");
  await door(page).click();
  await refusal(page, "cannot be reached right now").waitFor();
  await signIn(page);
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});
