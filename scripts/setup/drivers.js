import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * A software Vulkan driver. Tests run on both: two drivers of different make that agree on every integer are the proof that the
 * integers do not depend on the driver.
 *
 * @typedef {'lavapipe' | 'swiftshader'} Driver
 */

/** What the adapter of each driver calls itself, so that a driver list that is not obeyed is noticed. */
export const DRIVER_PATTERNS = { lavapipe: /llvmpipe/i, swiftshader: /swiftshader/i };

/**
 * Where the Vulkan driver file (ICD) of each driver may lie, best first. The first is where Debian has it.
 *
 * @param {string} home the user's home folder
 * @param {(folder: string) => string[]} list names in a folder, none when it is absent
 * @returns {Record<Driver, string[]>}
 */
export function driverCandidates(home = os.homedir(), list = namesIn) {
  const lavapipe = ['/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/etc/vulkan/icd.d'].flatMap(
    (folder) => {
      const names = list(folder).filter((name) => /^lvp_icd\b.*\.json$/.test(name));
      return names.sort().map((name) => path.posix.join(folder, name));
    },
  );
  const playwright = path.posix.join(home, '.cache/ms-playwright');
  const downloaded = list(playwright).filter((name) => /^chromium(_headless_shell)?-\d+$/.test(name));
  const folders = [
    '/usr/lib/chromium',
    '/usr/lib/chromium-browser',
    '/opt/google/chrome',
    '/opt/google/chrome-beta',
    ...downloaded.sort().flatMap((name) => {
      const builds = list(path.posix.join(playwright, name)).filter((build) => build.startsWith('chrome-'));
      return builds.map((build) => path.posix.join(playwright, name, build));
    }),
  ];
  return {
    lavapipe: ['/usr/share/vulkan/icd.d/lvp_icd.json', ...lavapipe],
    swiftshader: folders.map((folder) => `${folder}/vk_swiftshader_icd.json`),
  };
}

/**
 * The driver file of `driver`: the first that exists, else where Debian would have it.
 *
 * @param {Driver} driver
 * @param {(file: string) => boolean} exists
 * @returns {string}
 */
export function driverFile(driver, exists = existsSync) {
  const candidates = driverCandidates()[driver];
  return candidates.find(exists) ?? /** @type {string} */ (candidates[0]);
}

/**
 * The environment in which the Vulkan loader uses `file` alone.
 *
 * @param {string} file
 */
export function driverEnvironment(file) {
  return { VK_ICD_FILENAMES: file, VK_DRIVER_FILES: file };
}

/**
 * What a probe found: an adapter; none; or a failure that no driver would cure (`webgpu` does not load, a crash).
 *
 * @typedef {{ found: string } | { none: string } | { failed: string }} Probe
 */

/**
 * Opens a WebGPU device in a process of its own, so that a driver that crashes takes nothing with it.
 *
 * @param {Record<string, string>} [environment] added to that of this process
 * @returns {Promise<Probe>}
 */
export function probe(environment = {}) {
  const script = fileURLToPath(new URL('./probe.js', import.meta.url));
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (errors += chunk));
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ failed: error.message }));
    child.on('close', (code, signal) => resolve(readProbe(output, errors, code, signal)));
  });
}

/**
 * @param {string} output one JSON line: `{"adapter": "<name>"}` or `{"adapter": null}`
 * @param {string} errors
 * @param {number | null} code
 * @param {string | null} signal
 * @returns {Probe}
 */
export function readProbe(output, errors, code, signal) {
  const said = errors.trim();
  if (code !== 0) return { failed: `${said || 'no message'} (${signal ? `ended by ${signal}` : `exit ${code}`})` };
  const { adapter } = JSON.parse(output);
  if (typeof adapter === 'string') return { found: adapter };
  const lines = said.split('\n').filter((line) => !/^\s+at /.test(line)); // Dawn's own source positions
  return { none: lines.map((line) => line.replace(/^Warning: /, '')).join('; ') };
}

/** @param {string} folder */
function namesIn(folder) {
  return existsSync(folder) ? readdirSync(folder) : [];
}
