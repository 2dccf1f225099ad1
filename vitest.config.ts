import { defineConfig } from 'vitest/config';
import { driverEnvironment, driverFile } from './scripts/setup/drivers.js';

const shared = { pool: 'forks' as const, testTimeout: 300_000, hookTimeout: 120_000 };
/** Tests that open a device: the drivers are multi-threaded, so one file at a time. */
const sequential = { ...shared, fileParallelism: false };
const gpuTests = [
  'test/kernels/**/*.test.ts',
  'test/e2e/**/*.test.ts',
  'test/model/**/*.test.ts',
  'test/calibrate/**/*.test.ts',
  'test/gpu/**/*.test.ts',
  'test/infer/**/*.test.ts',
];
/** These start the built command, which opens the device itself. */
const commandTests = ['test/cli/**/*.test.ts'];
const lavapipe = driverEnvironment(driverFile('lavapipe'));
const swiftshader = driverEnvironment(driverFile('swiftshader'));

/** Every test file belongs to a project: what is not named above is `plain`. */
export default defineConfig({
  test: {
    projects: [
      { test: { ...shared, name: 'plain', include: ['test/**/*.test.ts'], exclude: [...gpuTests, ...commandTests] } },
      { test: { ...sequential, name: 'lavapipe', include: gpuTests, env: lavapipe } },
      { test: { ...sequential, name: 'swiftshader', include: gpuTests, env: swiftshader } },
      { test: { ...sequential, name: 'cli', include: commandTests, env: lavapipe } },
    ],
  },
});
