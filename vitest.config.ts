import { defineConfig } from 'vitest/config';

/** The software Vulkan drivers that every GPU test runs on. `scripts/test.js` says which of them this machine has. */
const drivers: Record<string, string> = {
  lavapipe: '/usr/share/vulkan/icd.d/lvp_icd.json',
  swiftshader: '/usr/lib/chromium/vk_swiftshader_icd.json',
};
const shared = { pool: 'forks' as const, testTimeout: 300_000, hookTimeout: 120_000, fileParallelism: false };
const gpuTests = [
  'test/kernels/**/*.test.ts',
  'test/e2e/**/*.test.ts',
  'test/model/**/*.test.ts',
  'test/calibrate/**/*.test.ts',
  'test/gpu/**/*.test.ts',
];

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: {
          ...shared,
          name: 'plain',
          include: ['test/**/*.test.ts'],
          exclude: [...gpuTests, 'test/cli/**', 'test/page/**'],
          fileParallelism: true,
        },
      },
      ...Object.entries(drivers).map(([name, icd]) => ({
        extends: true as const,
        test: { ...shared, name, include: gpuTests, env: { VK_ICD_FILENAMES: icd, VK_DRIVER_FILES: icd } },
      })),
    ],
  },
});
