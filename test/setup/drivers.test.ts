import { expect, test } from 'vitest';
import { driverCandidates, driverFile, readProbe } from '../../scripts/setup/drivers.js';

const folders: Record<string, string[]> = {
  '/usr/share/vulkan/icd.d': ['intel_icd.json', 'lvp_icd.x86_64.json', 'lvp_icd.json.dpkg-new'],
  '/home/me/.cache/ms-playwright': ['chromium-1200', 'firefox-1400'],
  '/home/me/.cache/ms-playwright/chromium-1200': ['INSTALLATION_COMPLETE', 'chrome-linux'],
};

test('driver files are looked for where distributions and browsers put them', () => {
  const { lavapipe, swiftshader } = driverCandidates('/home/me', (folder) => folders[folder] ?? []);
  expect(lavapipe).toEqual(['/usr/share/vulkan/icd.d/lvp_icd.json', '/usr/share/vulkan/icd.d/lvp_icd.x86_64.json']);
  expect(swiftshader[0]).toBe('/usr/lib/chromium/vk_swiftshader_icd.json');
  expect(swiftshader.at(-1)).toBe('/home/me/.cache/ms-playwright/chromium-1200/chrome-linux/vk_swiftshader_icd.json');
});

test('a missing driver is named where Debian would have it', () => {
  expect(driverFile('lavapipe', () => false)).toBe('/usr/share/vulkan/icd.d/lvp_icd.json');
  expect(driverFile('swiftshader', (file) => file.startsWith('/opt'))).toBe(
    '/opt/google/chrome/vk_swiftshader_icd.json',
  );
});

test('a probe tells an absent adapter, which a driver cures, from a failure, which it does not', () => {
  expect(readProbe('{"adapter":"mesa, llvmpipe"}\n', 'Warning: x', 0, null)).toEqual({ found: 'mesa, llvmpipe' });
  const dawn =
    'Warning: Found no drivers!\nWarning: vkCreateInstance failed\n    at Check (/home/runner/VulkanError.cpp:106)\n';
  expect(readProbe('{"adapter":null}\n', dawn, 0, null)).toEqual({
    none: 'Found no drivers!; vkCreateInstance failed',
  });
  expect(readProbe('', 'Cannot find package', 1, null)).toEqual({ failed: 'Cannot find package (exit 1)' });
  expect(readProbe('', '', null, 'SIGSEGV')).toEqual({ failed: 'no message (ended by SIGSEGV)' });
});
