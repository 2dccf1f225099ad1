import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { twinshift } from '../support/command.ts';
import { writeImages, writeModel } from '../support/tinyModel.ts';

let folder: string;
let model: string;
let images: string;
let place: string;
let count = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'twinshift-run-'));
  model = writeModel(join(folder, 'model'));
  images = await writeImages(join(folder, 'images'), 12);
});
beforeEach(() => {
  place = join(folder, `place ${count++}`);
  mkdirSync(place);
});
afterAll(() => rmSync(folder, { recursive: true }));

const COMMANDS = [
  'quantize',
  'export',
  'classify',
  'evaluate',
  'ablate',
  'bench',
  'curve',
  'report',
  'diff',
  'inspect',
  'doctor',
];

/** What `quantize` writes into its folder. */
const FILES = ['model.twinshift.safetensors', 'recipe.json', 'weights.safetensors'];

const command = (...flags: string[]) => ['quantize', model, '--images', images, '--count', '8', ...flags];

/** Every file under `directory` with its bytes. */
function contents(directory: string): Record<string, Buffer> {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(names.map(({ parentPath, name }) => [name, readFileSync(join(parentPath, name))]));
}

test('two runs write the same bytes, another seed takes other images', async () => {
  const outs = ['a', 'b/', 'deep/er/c'].map((name) => join(place, name));
  for (const [i, out] of outs.entries()) {
    const { code, stderr } = await twinshift(command('--out', out, ...(i === 2 ? ['--seed', '1'] : [])));
    expect(code, stderr).toBe(0);
  }
  const [a, b, c] = outs.map(contents) as [Record<string, Buffer>, Record<string, Buffer>, Record<string, Buffer>];
  expect(Object.keys(a).sort()).toEqual(FILES);
  expect(b).toEqual(a);
  const files = (text: Buffer | undefined) =>
    (JSON.parse(String(text)) as { images: { file: string }[] }).images.map(({ file }) => file);
  expect(files(a['recipe.json'])).toHaveLength(8);
  expect(files(a['recipe.json'])).toEqual([...files(a['recipe.json'])].sort());
  expect(files(c['recipe.json'])).not.toEqual(files(a['recipe.json']));
  expect(readdirSync(place).sort()).toEqual(['a', 'a.run.json', 'b', 'b.run.json', 'deep']);
});

test('the report on stdout is that beside the folder, and says what the result must not', async () => {
  const out = join(place, 'out');
  const { code, stdout, stderr } = await twinshift(command('--out', out, '--json', '--preset', 'base'));
  expect(code, stderr).toBe(0);
  expect(stdout).toBe(readFileSync(`${out}.run.json`, 'utf8'));
  const report = JSON.parse(stdout) as Record<string, number>;
  expect(report).toMatchObject({ format: 'twinshift-run', preset: 'base', layers: 8, adapter: { software: true } });
  for (const key of ['seconds', 'peakProcessBytes', 'peakDeviceBytes', 'candidates']) {
    expect(report[key], key).toBeGreaterThan(0);
  }
  for (const [name, bytes] of Object.entries(contents(out))) {
    for (const secret of [place, folder, 'llvmpipe', 'SwiftShader']) expect(bytes.includes(secret), name).toBe(false);
  }
});

test('without a terminal progress is a line a stage, without control characters', async () => {
  const { stdout, stderr } = await twinshift(command('--out', join(place, 'out')));
  expect(
    stderr.replace(/^(twinshift: warning: the calibration images are unlike photographs).*/m, '$1').split('\n'),
  ).toEqual([
    'reading images',
    'calibrating: forward',
    'calibrating: head',
    'calibrating: blocks.0',
    'calibrating: embed',
    'twinshift: warning: the calibration images are unlike photographs', // they are noise
    'exporting',
    '',
  ]);
  expect(stdout).toContain('peak memory');
});

test('an output folder that is not empty is replaced with --force only, and then whole', async () => {
  const out = join(place, 'out');
  mkdirSync(out);
  expect((await twinshift(command('--out', out))).code).toBe(0); // empty is fine
  rmSync(join(out, 'recipe.json'));
  writeFileSync(join(out, 'mine.txt'), 'x');
  const before = contents(out);
  const refused = await twinshift(command('--out', out));
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain(
    `--out ${out} is not empty (it holds mine.txt and 2 more); give another folder, or --force`,
  );
  expect(contents(out)).toEqual(before);
  expect((await twinshift(command('--out', out, '--force'))).code).toBe(0);
  expect(readdirSync(out).sort()).toEqual(FILES);
});

test('an output that is a file or would replace an input is refused even with --force', async () => {
  const file = join(place, 'file');
  writeFileSync(file, 'x');
  symlinkSync(model, join(place, 'link'));
  for (const [out, why] of [
    [file, 'is a file, not a folder'],
    [join(file, 'in', 'it'), `${file} is a file, not a folder`],
    [model, `would replace ${model}`],
    [images, `would replace ${images}`],
    [folder, `would replace ${model}`],
    [join(place, 'link'), `would replace ${model}`],
    ['.', 'would replace'],
    ['/', 'root of the file system'],
  ] as const) {
    const { code, stderr } = await twinshift(command('--out', out, '--force'));
    expect(code, out).toBe(2);
    expect(stderr).toContain(why);
  }
  expect(readFileSync(file, 'utf8')).toBe('x');
  expect(existsSync(join(model, 'model.safetensors'))).toBe(true);
});

test('an output on a disk that takes nothing is refused before any work', async () => {
  const { code, stderr } = await twinshift(['quantize', model, '--images', images, '--out', '/proc/self/out']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^twinshift: --out \/proc\/self\/out: \/proc\/\d+ may not be written to/);
});

test('without an adapter the run fails, saying so', async () => {
  const env = { VK_ICD_FILENAMES: join(place, 'none.json'), VK_DRIVER_FILES: join(place, 'none.json') };
  for (const args of [command('--out', join(place, 'out')), ['evaluate', model, '--images', images], ['doctor']]) {
    const { code, stdout, stderr } = await twinshift(args, { env });
    expect({ code, stdout }, stderr).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^twinshift: .*adapter/m);
  }
  expect(readdirSync(place)).toEqual([]);
});

/** A mount namespace of its own, where a small file system needs no root. */
const NAMESPACE = ['unshare', '--user', '--map-root-user', '--mount', '/bin/sh', '-c'];
const MOUNT = 'mount -t tmpfs -o size=16k none';

if (spawnSync(NAMESPACE[0] as string, [...NAMESPACE.slice(1), `${MOUNT} /mnt`]).status === 0) {
  test('a full disk ends the run and leaves what was there', async () => {
    const out = join(place, 'out');
    const report = join(folder, 'full.txt');
    const before = `${MOUNT} '${place}'; mkdir '${out}'; echo mine > '${out}/old'`;
    const script = `${before}; "$@"; echo "code $?" > '${report}'; ls -AR '${place}' >> '${report}'`;
    const { stderr } = await twinshift(command('--out', out, '--force'), { wrapper: [...NAMESPACE, script, 'sh'] });
    expect(stderr).toMatch(/twinshift: .*cannot be written \(ENOSPC.*make room/);
    const after = readFileSync(report, 'utf8').trim().split('\n').filter(Boolean);
    expect(after).toEqual(['code 1', `${place}:`, 'out', `${out}:`, 'old']);
  });
} else {
  process.stderr.write('No right to mount a small disk: fullness is checked by the tests of the writer alone.\n');
}

test.each([
  ['SIGINT', 'calibrating: forward'],
  ['SIGINT', 'reading images'],
  ['SIGTERM', 'calibrating: head'],
] as const)('%s while %s ends the run and leaves nothing', async (signal, stage) => {
  let sent = false;
  const long = ['quantize', model, '--images', images, '--count', '12', '--preset', 'paper'];
  const { code, stdout, stderr } = await twinshift([...long, '--out', join(place, 'out')], {
    onStderr(text, child) {
      if (!sent && text.includes(stage)) sent = child.kill(signal);
    },
  });
  expect({ code, stdout }, stderr).toEqual({ code: 130, stdout: '' });
  expect(stderr).toMatch(/\ntwinshift: interrupted\n$/);
  expect(readdirSync(place)).toEqual([]);
});

test.each([
  [['quantise'], 'unknown command "quantise"; did you mean quantize?\nRun: twinshift --help'],
  [['--json', 'doctor'], 'the command comes first, got --json'],
  [['quantize', 'm', '--out', 'o'], '--images <dir> is missing\nRun: twinshift quantize --help'],
  [['doctor', '--jsno'], 'unknown flag --jsno; did you mean --json?\nRun: twinshift doctor --help'],
  [['inspect'], '<model> is missing'],
  [['quantize', 'm', '--images', 'i', '--out', 'o', '--count', '0'], '--count must be an integer in 1..65536, got "0"'],
])('%j is refused', async (args, message) => {
  const { code, stdout, stderr } = await twinshift(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(`twinshift: ${message}`);
});

test('help and version are results', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  expect(await twinshift(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  const help = await twinshift(['--help']);
  expect(help).toMatchObject({ code: 0, stderr: '' });
  for (const name of COMMANDS) {
    expect(help.stdout).toContain(`  ${name} `);
    const own = await twinshift([name, '--help']);
    expect(own).toMatchObject({ code: 0, stderr: '' });
    expect(own.stdout).toMatch(new RegExp(`^Usage: twinshift ${name}`));
    expect(await twinshift(['help', name])).toEqual(own);
  }
  const nothing = await twinshift([]);
  expect(nothing).toMatchObject({ code: 2, stdout: '' });
  expect(nothing.stderr).toBe(help.stdout);
});

test('docs/cli.md names every command and every flag', async () => {
  const documented = readFileSync('docs/cli.md', 'utf8');
  for (const name of COMMANDS) {
    const { stdout } = await twinshift([name, '--help']);
    expect(documented).toContain(`\n## ${name}\n`);
    const flags = [...stdout.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, flag = '']) => flag);
    const missing = flags.filter((flag) => !new RegExp(`\`${flag}[ \`]`).test(documented));
    expect(missing, name).toEqual([]);
  }
});

test('a reader that closes the pipe early is no error', () => {
  const script = `node bin/twinshift.js inspect '${model}' --json | head -1`;
  expect(execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' })).toBe('{\n');
});

test('doctor finds every kernel right', async () => {
  const { code, stdout, stderr } = await twinshift(['doctor', '--json']);
  expect(code, stderr).toBe(0);
  const report = JSON.parse(stdout) as {
    ok: boolean;
    adapter: object;
    adapters: object[];
    selfTest: { passed: boolean }[];
  };
  expect(report.ok).toBe(true);
  expect(report.adapters[0]).toEqual(report.adapter);
  expect(report.selfTest.length).toBeGreaterThan(20);
  expect(report.selfTest.every(({ passed }) => passed)).toBe(true);
  const text = await twinshift(['doctor']);
  expect(text.stdout).toMatch(/checks of the kernels against their twins passed/);
});
