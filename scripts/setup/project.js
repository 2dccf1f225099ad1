import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository root. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What `npm ci` installs from, and where its last hash is kept: `npm ci` removes the record together with the packages. */
export const LOCKFILE = 'package-lock.json';
export const INSTALL_RECORD = path.join(ROOT, 'node_modules/.twinshift-setup.json');

/** Everything that the build is made from. */
export const SOURCES = [
  'src',
  'shaders',
  'bench',
  'demo',
  'models/sample',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'vite.config.ts',
  'scripts/build.js',
  'scripts/bareShaders.js',
];
export const BUILD_RECORD = path.join(ROOT, 'dist/.twinshift-build.json');
/** Without these the build is not usable, whatever its record says. */
export const BUILD_OUTPUTS = ['cli.js', 'index.js', 'node.js', 'browser.js', 'demo/index.html', 'types/index.d.ts'].map(
  (file) => path.join(ROOT, 'dist', file),
);
