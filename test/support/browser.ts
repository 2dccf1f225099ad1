import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/**
 * A headless Chromium: `TWINSHIFT_CHROMIUM`, else the system's, else Playwright's. An error says how to get one; nothing
 * is skipped.
 */
export async function launchBrowser(flags: readonly string[] = []): Promise<Browser> {
  const candidates = [process.env['TWINSHIFT_CHROMIUM'] ?? '', ...places, chromium.executablePath()];
  const executablePath = candidates.find((place) => existsSync(place));
  if (executablePath === undefined) {
    throw new Error(
      `No Chromium at ${places.join(', ')}. Run "node scripts/setup.js --browser" or set TWINSHIFT_CHROMIUM.`,
    );
  }
  // The sandbox needs user namespaces that a container's root lacks; SwiftShader draws where there is no GPU.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--enable-unsafe-swiftshader', ...flags] });
}
