#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const built = new URL('../dist/cli.js', import.meta.url);
if (existsSync(built)) {
  const { main } = await import(built.href);
  process.exitCode = await main(process.argv.slice(2)); // not process.exit: work on the GPU may still be ending
} else {
  console.error(
    `twinshift is not built: ${fileURLToPath(built)} is missing.\n` +
      'In a clone run: npm start, which does all set-up, or npm ci and npm run build. Otherwise install the package again.',
  );
  process.exitCode = 1;
}
