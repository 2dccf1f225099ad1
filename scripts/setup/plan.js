/**
 * What to install for a missing driver, decided from plain facts about the machine; nothing here touches the machine.
 *
 * @typedef {import('./drivers.js').Driver} Driver
 *
 * @typedef {object} Machine
 * @property {string} platform as in `process.platform`
 * @property {Record<string, string>} release the fields of /etc/os-release, {} without the file
 * @property {boolean} root
 * @property {boolean} apt apt-get is there
 * @property {string} sources all apt source lists, one after the other
 *
 * @typedef {{ write: string, lines: string[] } | { run: string[] }} Step
 *
 * @typedef {object} Plan
 * @property {Step[]} steps known to be right for this system
 * @property {boolean} allowed the steps may be run here and now
 * @property {string[]} undo shell commands that take the steps back
 * @property {string[]} advice what only the reader can do
 */

const BACKPORTS_LIST = '/etc/apt/sources.list.d/twinshift-backports.sources';
const MESA = ['mesa-vulkan-drivers', 'libvulkan1'];
const PLAYWRIGHT = 'npx playwright-core install --with-deps chromium';

/**
 * The fields of an os-release file.
 *
 * @param {string} text
 * @returns {Record<string, string>}
 */
export function readRelease(text) {
  const fields = text.split('\n').flatMap((line) => {
    const match = /^([A-Z0-9_]+)=(?:"(.*)"|'(.*)'|(.*))$/.exec(line.trim());
    return match ? [[match[1], match[2] ?? match[3] ?? match[4] ?? '']] : [];
  });
  return Object.fromEntries(fields);
}

/**
 * The software drivers that would help when the default adapter is missing. `VK_ICD_FILENAMES` and `VK_DRIVER_FILES` are obeyed:
 * a driver that they do not name would not be loaded, so it is not installed.
 *
 * @param {Record<string, string | undefined>} environment
 * @returns {Driver[]} empty when only the reader can help
 */
export function driversThatHelp(environment) {
  const named = environment['VK_DRIVER_FILES'] || environment['VK_ICD_FILENAMES'];
  if (!named) return ['lavapipe'];
  if (/(^|[/:;])lvp_icd[^/:;]*\.json/.test(named)) return ['lavapipe'];
  return named.includes('vk_swiftshader_icd.json') ? ['swiftshader'] : [];
}

/**
 * @param {Machine} machine
 * @param {readonly Driver[]} missing
 * @returns {Plan}
 */
export function planInstall(machine, missing) {
  const { release, platform } = machine;
  const id = release['ID'] ?? '';
  const major = Number.parseInt(release['VERSION_ID'] ?? '', 10); // NaN on Debian testing and unstable
  const debian = platform === 'linux' && id === 'debian' && machine.apt && !(major < 12);
  const ubuntu = platform === 'linux' && id === 'ubuntu' && machine.apt;
  if (!debian && !ubuntu) return { steps: [], allowed: false, undo: [], advice: adviceFor(platform, release, missing) };

  /** @type {Step[]} */
  const steps = [];
  const undo = [];
  const advice = [];
  const mesa = missing.includes('lavapipe');
  const backports = mesa && debian && major === 12; // its own Mesa 22.3 is refused by Dawn
  if (backports && !listsBackports(machine.sources)) {
    steps.push({ write: BACKPORTS_LIST, lines: backportsSource(machine.sources) });
    undo.push(`rm ${BACKPORTS_LIST}`);
  }
  /** @type {Step[]} */
  const installs = [];
  if (mesa) installs.push(aptInstall(MESA, backports ? ['-t', 'bookworm-backports'] : []));
  if (missing.includes('swiftshader')) {
    if (debian) installs.push(aptInstall(['chromium']));
    else advice.push(`${PLAYWRIGHT}   # its Chromium brings SwiftShader; Ubuntu's own is a snap without it`);
  }
  if (installs.length > 0) {
    steps.push({ run: ['apt-get', 'update'] }, ...installs);
    const packages = [...(mesa ? MESA : []), ...(debian && missing.includes('swiftshader') ? ['chromium'] : [])];
    undo.unshift(`apt-get remove ${packages.join(' ')} && apt-get autoremove`);
  }
  return { steps, allowed: machine.root, undo, advice };
}

/**
 * A step as a line for a shell.
 *
 * @param {Step} step
 * @param {boolean} sudo
 */
export function shellLine(step, sudo) {
  const prefix = sudo ? 'sudo ' : '';
  if ('run' in step) return prefix + step.run.join(' ');
  return `printf '%s\\n' ${step.lines.map((line) => `'${line}'`).join(' ')} | ${prefix}tee ${step.write}`;
}

/** @param {string} sources */
export function listsBackports(sources) {
  const listed = sources.split('\n').filter((line) => !line.trim().startsWith('#'));
  return listed.some((line) => /^(deb |Suites:).*\bbookworm-backports\b/.test(line.trim()));
}

/**
 * The address of the Debian mirror that apt uses already: a machine behind a local mirror may reach no other.
 *
 * @param {string} sources
 */
export function debianMirror(sources) {
  const addresses = sources.split('\n').flatMap((line) => {
    const match = /^(?:deb\s+(?:\[[^\]]*\]\s+)?|URIs:\s*)(https?:\/\/\S+)/.exec(line.trim());
    return match?.[1] ? [match[1].replace(/\/$/, '')] : [];
  });
  // security archives and third parties have other paths; snapshots of the past hold no current backports
  const mirror = addresses.find((address) => /\/debian$/.test(address) && !address.includes('snapshot.debian.org'));
  return mirror ?? 'http://deb.debian.org/debian';
}

/** @param {string} sources */
function backportsSource(sources) {
  return [
    '# Written by the set-up of twinshift: Debian 12 itself has no Vulkan driver that WebGPU accepts.',
    'Types: deb',
    `URIs: ${debianMirror(sources)}`,
    'Suites: bookworm-backports',
    'Components: main',
    'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg',
  ];
}

/**
 * @param {string[]} packages
 * @param {string[]} [options]
 * @returns {Step}
 */
function aptInstall(packages, options = []) {
  return { run: ['apt-get', 'install', '--yes', '--no-install-recommends', ...options, ...packages] };
}

/**
 * @param {string} platform
 * @param {Record<string, string>} release
 * @param {readonly Driver[]} missing
 * @returns {string[]}
 */
function adviceFor(platform, release, missing) {
  if (platform !== 'linux') {
    return missing.includes('swiftshader')
      ? ['Run the tests on Linux: they compare two Vulkan drivers, lavapipe and SwiftShader.']
      : ['Install the driver of your graphics card: WebGPU needs Metal (macOS) or Direct3D 12 (Windows).'];
  }
  const family = ` ${release['ID'] ?? ''} ${release['ID_LIKE'] ?? ''} `;
  const commands = [];
  if (missing.includes('lavapipe')) {
    if (family.includes(' fedora ')) commands.push('sudo dnf install mesa-vulkan-drivers vulkan-loader');
    else if (family.includes(' arch ')) commands.push('sudo pacman -S vulkan-swrast vulkan-icd-loader');
    else
      commands.push('Install the Vulkan loader (libvulkan.so.1) and Mesa 23 or newer with lavapipe from your system.');
  }
  if (missing.includes('swiftshader')) commands.push(`${PLAYWRIGHT}   # its Chromium brings SwiftShader`);
  return commands;
}
