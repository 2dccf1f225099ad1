import { describe, expect, test } from 'vitest';
import {
  debianMirror,
  driversThatHelp,
  listsBackports,
  planInstall,
  readRelease,
  shellLine,
  type Machine,
} from '../../scripts/setup/plan.js';

const release = (text: string) => readRelease(text);
const bookworm = release('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n');
const debianSources = 'Types: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm bookworm-updates\n';
const machine = (changes: Partial<Machine> = {}): Machine => ({
  platform: 'linux',
  release: bookworm,
  root: true,
  apt: true,
  sources: debianSources,
  ...changes,
});
const runs = (plan: ReturnType<typeof planInstall>) =>
  plan.steps.map((step) => ('run' in step ? step.run.join(' ') : `write ${step.write}`));

const MESA = 'apt-get install --yes --no-install-recommends mesa-vulkan-drivers libvulkan1';
const LIST = '/etc/apt/sources.list.d/twinshift-backports.sources';

describe('Debian 12', () => {
  test('takes Mesa from backports through a source list of its own', () => {
    const plan = planInstall(machine(), ['lavapipe']);
    expect(runs(plan)).toEqual([
      `write ${LIST}`,
      'apt-get update',
      'apt-get install --yes --no-install-recommends -t bookworm-backports mesa-vulkan-drivers libvulkan1',
    ]);
    expect(plan.allowed).toBe(true);
    expect(plan.undo).toEqual(['apt-get remove mesa-vulkan-drivers libvulkan1 && apt-get autoremove', `rm ${LIST}`]);
    expect(plan.advice).toEqual([]);
    expect(plan.steps[0]).toMatchObject({
      lines: expect.arrayContaining([
        'URIs: http://deb.debian.org/debian',
        'Suites: bookworm-backports',
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg',
      ]) as string[],
    });
  });

  test('uses backports that are listed already', () => {
    const sources = `${debianSources}deb http://deb.debian.org/debian bookworm-backports main\n`;
    expect(runs(planInstall(machine({ sources }), ['lavapipe']))[0]).toBe('apt-get update');
  });

  test('takes chromium from the normal archive', () => {
    expect(runs(planInstall(machine(), ['swiftshader']))).toEqual([
      'apt-get update',
      'apt-get install --yes --no-install-recommends chromium',
    ]);
    expect(runs(planInstall(machine(), ['lavapipe', 'swiftshader']))).toHaveLength(4);
  });

  test('is not touched without root', () => {
    const plan = planInstall(machine({ root: false }), ['lavapipe']);
    expect(plan.allowed).toBe(false);
    expect(plan.steps.map((step) => shellLine(step, true))).toEqual([
      expect.stringMatching(/^printf '%s\\n' '# .*' 'Types: deb' .* \| sudo tee \/etc\/apt\//),
      'sudo apt-get update',
      expect.stringMatching(/^sudo apt-get install .*-t bookworm-backports/),
    ]);
  });
});

test.each([
  ['Debian 13', 'ID=debian\nVERSION_ID="13"'],
  ['Debian testing', 'ID=debian\nVERSION_CODENAME=forky'],
  ['Ubuntu', 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"'],
])('%s takes Mesa from its own archive', (_name, text) => {
  const plan = planInstall(machine({ release: release(text) }), ['lavapipe']);
  expect(runs(plan)).toEqual(['apt-get update', MESA]);
  expect(plan.undo).toHaveLength(1);
});

test('Ubuntu installs Mesa and says how to get SwiftShader', () => {
  const plan = planInstall(machine({ release: release('ID=ubuntu\nVERSION_ID="24.04"') }), ['lavapipe', 'swiftshader']);
  expect(runs(plan)).toEqual(['apt-get update', MESA]);
  expect(plan.undo.join()).not.toContain('chromium');
  expect(plan.advice).toEqual([expect.stringContaining('npx playwright-core install')]);
});

test.each([
  ['Debian 11', machine({ release: release('ID=debian\nVERSION_ID="11"') }), 'Mesa 23 or newer'],
  ['Debian without apt', machine({ apt: false }), 'Mesa 23 or newer'],
  ['Fedora', machine({ release: release('ID=fedora\nVERSION_ID=42') }), 'dnf install mesa-vulkan-drivers'],
  ['a relative of Arch', machine({ release: release('ID=manjaro\nID_LIKE=arch') }), 'pacman -S vulkan-swrast'],
  ['macOS', machine({ platform: 'darwin', release: {} }), 'Metal'],
])('%s: nothing is run, the reader is told', (_name, where, words) => {
  const plan = planInstall(where, ['lavapipe']);
  expect(plan).toMatchObject({ steps: [], allowed: false });
  expect(plan.advice.join('\n')).toContain(words);
});

test.each([
  ['nothing set', {}, ['lavapipe']],
  ['lavapipe named', { VK_ICD_FILENAMES: '/usr/share/vulkan/icd.d/lvp_icd.x86_64.json' }, ['lavapipe']],
  ['SwiftShader named', { VK_DRIVER_FILES: '/usr/lib/chromium/vk_swiftshader_icd.json' }, ['swiftshader']],
  ['another driver named', { VK_ICD_FILENAMES: '/opt/missing_icd.json' }, []],
  ['the newer variable first', { VK_DRIVER_FILES: '/x.json', VK_ICD_FILENAMES: '/usr/share/vulkan/lvp_icd.json' }, []],
])('the Vulkan variables are obeyed: %s', (_name, environment, drivers) => {
  expect(driversThatHelp(environment)).toEqual(drivers);
});

test('os-release values lose their quotes', () => {
  expect(readRelease('# c\nID="debian"\nNAME=\'A b\'\nVERSION_ID=12\nEMPTY=\n')).toEqual({
    ID: 'debian',
    NAME: 'A b',
    VERSION_ID: '12',
    EMPTY: '',
  });
});

test.each([
  ['deb http://deb.debian.org/debian bookworm-backports main', true],
  ['deb [signed-by=/k.gpg] https://x/debian bookworm-backports main', true],
  ['Suites: bookworm bookworm-backports', true],
  ['# deb http://deb.debian.org/debian bookworm-backports main', false],
  ['deb http://deb.debian.org/debian bookworm main', false],
  ['deb-src http://deb.debian.org/debian bookworm-backports main', false],
])('backports in "%s": %s', (line, listed) => {
  expect(listsBackports(`deb http://x/debian y main\n  ${line}\n`)).toBe(listed);
});

test.each([
  ['deb https://mirror.example/debian/ bookworm main', 'https://mirror.example/debian'],
  ['deb [arch=amd64] http://m/debian bookworm main', 'http://m/debian'],
  ['URIs: http://deb.debian.org/debian-security\nURIs: http://near/debian', 'http://near/debian'],
  ['URIs: http://snapshot.debian.org/archive/debian/20250520T000000Z', 'http://deb.debian.org/debian'],
  ['URIs: https://deb.nodesource.com/node_20.x', 'http://deb.debian.org/debian'],
  ['URIs: mirror+file:///etc/apt/mirrors.list', 'http://deb.debian.org/debian'],
  ['', 'http://deb.debian.org/debian'],
])('the mirror of "%s" is %s', (sources, mirror) => {
  expect(debianMirror(sources)).toBe(mirror);
});
