// Opens pages of the report in Chromium: light and dark, printed, with forced colors, on a phone.
// No request but for the page itself, no message on the console, no finding of axe, no scrolling to
// the side, and in each table what the views say. Pictures are left beside the pages.
//
// Usage, in the root of the repository: node tests/bi/report.mjs FOLDER
//
// FOLDER holds the pages, and beside each the cells of its tables as JSON: the test
// `pages_for_a_browser` writes them.

import { readFileSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.cwd(), ".chromium", "node_modules", "x.js"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const folder = resolve(process.argv[2] ?? "target/bi/report");
const problems = [];

// How a page is looked at. A phone is 360 pixels wide.
const looks = [
  { name: "light", width: 1280, height: 900, media: { colorScheme: "light" } },
  { name: "dark", width: 1280, height: 900, media: { colorScheme: "dark" } },
  { name: "forced-colors", width: 1280, height: 900, media: { forcedColors: "active" } },
  { name: "phone", width: 360, height: 800, media: { colorScheme: "light" } },
  { name: "phone-dark", width: 360, height: 800, media: { colorScheme: "dark" } },
];

// What a person sees of a cell.
const cells = () =>
  Object.fromEntries(
    [...document.querySelectorAll("table")].map((table) => [
      table.id,
      [...table.tBodies[0].rows].map((row) =>
        [...row.cells].map((cell) => cell.textContent.replace(/\s+/g, " ").trim()),
      ),
    ]),
  );

const unfold = (open) => {
  for (const details of document.querySelectorAll("details")) details.open = open;
};

const spaces = (text) => text.replace(/\s+/g, " ").trim();

async function look(browser, name, { name: how, width, height, media }) {
  const context = await browser.newContext({ viewport: { width, height }, ...media });
  const page = await context.newPage();
  const file = join(folder, `${name}.html`);
  const address = pathToFileURL(file).href;
  const say = (text) => problems.push(`${name}, ${how}: ${text}`);
  page.on("request", (request) => {
    if (request.url() !== address) say(`requested ${request.url()}`);
  });
  page.on("console", (message) => say(`console: ${message.text()}`));
  page.on("pageerror", (error) => say(`error: ${error.message}`));
  page.on("dialog", async (dialog) => {
    say(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  await page.goto(address, { waitUntil: "load" });
  await page.screenshot({ path: join(folder, `${name}-${how}.png`) });
  await page.screenshot({ path: join(folder, `${name}-${how}-whole.png`), fullPage: true });
  for (const section of await page.locator("main > section").all()) {
    const label = await section.getAttribute("aria-labelledby");
    if (label) await section.screenshot({ path: join(folder, `${name}-${how}-${label}.png`) });
  }
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  if (overflow > 0) say(`is ${overflow} pixels wider than the window`);
  const small = await page.evaluate(() =>
    [...document.querySelectorAll("svg.chart text")].filter((text) => {
      const scale = text.getCTM().a;
      return parseFloat(getComputedStyle(text).fontSize) * scale < 9;
    }).length,
  );
  if (small > 0) say(`${small} texts of charts are smaller than 9 pixels`);
  const expected = JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"));
  const found = await page.evaluate(cells);
  for (const [id, rows] of Object.entries(expected)) {
    const wanted = rows.map((row) => row.map(spaces));
    if (JSON.stringify(found[id] ?? []) !== JSON.stringify(wanted)) {
      say(`the table ${id} differs: ${JSON.stringify(found[id])}, not ${JSON.stringify(wanted)}`);
    }
  }
  // What is folded away is checked too.
  await page.evaluate(unfold, true);
  // The policy of the page forbids scripts; axe is put in past it, by the debugger.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  for (const { id, help, nodes } of violations) {
    const found = nodes.slice(0, 3).map((node) => node.html.slice(0, 200));
    say(`axe: ${id}: ${help}: ${found.join(" ")}`);
  }
  if (how === "light") {
    await page.evaluate(unfold, false);
    const pdf = await page.pdf({ path: join(folder, `${name}.pdf`), preferCSSPageSize: true });
    if (pdf.length < 10_000) say(`the print has only ${pdf.length} bytes`);
    await page.emulateMedia({ media: "print" });
    await page.screenshot({ path: join(folder, `${name}-print.png`), fullPage: true });
  }
  await context.close();
}

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
if (names.length === 0) problems.push(`there is no page in ${folder}`);
for (const name of names.map((name) => name.replace(/\.json$/, ""))) {
  const bytes = statSync(join(folder, `${name}.html`)).size;
  if (bytes > 300_000) problems.push(`${name}: ${bytes} bytes`);
  for (const how of looks) await look(browser, name, how);
}
await browser.close();
for (const problem of problems) console.error(problem);
console.log(`${names.length} pages, ${looks.length} looks each: ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
