// Opens the dashboard of a Superset on loopback, waits for every chart, and takes a picture of the whole
// page. Prints the text of each chart as JSON. Fails if a chart shows an error or has no data.
//
// Usage: node superset.cjs ADDRESS USER PASSWORD PICTURE
const { chromium } = require('playwright-core');

const [address, user, password, picture] = process.argv.slice(2);

async function main() {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage({ viewport: { width: 1500, height: 2600 } });
    page.setDefaultTimeout(120_000);
    // Chromium's own start screens and Superset's count of visits ask for pages elsewhere.
    await page.route((url) => url.hostname !== '127.0.0.1', (route) => route.abort());
    await page.goto(`${address}/login/`);
    await page.fill('#username', user);
    await page.fill('#password', password);
    await Promise.all([page.waitForURL(/welcome/), page.press('#password', 'Enter')]);
    await page.goto(`${address}/superset/dashboard/armature/?standalone=2`);
    const charts = page.locator('[data-test="chart-grid-component"]');
    await charts.first().waitFor();
    // A chart is a canvas, a table or a large number.
    await page.waitForFunction(() =>
      [...document.querySelectorAll('[data-test="chart-grid-component"]')].every(
        (chart) =>
          chart.querySelector('canvas, table, .header-line, [role="alert"], .ant-empty, .ant-alert') &&
          !chart.querySelector('[data-test="loading-indicator"], .loading'),
      ),
    );
    const broken = await charts.filter({ has: page.locator('[role="alert"], .ant-empty, .ant-alert') }).allInnerTexts();
    if (broken.length > 0) {
      throw new Error(`charts without figures: ${JSON.stringify(broken)}`);
    }
    // For the picture only: charts grow when they appear.
    await page.waitForTimeout(2000);
    await page.screenshot({ path: picture, fullPage: true });
    console.log(JSON.stringify(await charts.allInnerTexts()));
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
