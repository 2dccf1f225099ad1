import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { twinshift, type CommandOptions } from '../support/command.ts';
import { useHub } from '../support/hubFolder.ts';
import { COMMIT, etagOf, sendPart, type Fault, type ServedRepository } from '../support/hubServer.ts';
import { writeImages, writeModel } from '../support/tinyModel.ts';

const { hub: start } = useHub();
let folder: string;
let home: string;
let served: ServedRepository;
let images: string;
let count = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'twinshift-hub-'));
  const model = writeModel(join(folder, 'model'));
  images = await writeImages(join(folder, 'images'), 4);
  const files = Object.fromEntries(readdirSync(model).map((name) => [name, readFileSync(join(model, name))]));
  served = { repository: 'owner/tiny', revisions: { main: COMMIT, 'v1.0': COMMIT }, files };
});
beforeEach(() => (home = join(folder, `home ${count++}`)));
afterAll(() => rmSync(folder, { recursive: true }));

const weights = () => served.files['model.safetensors'] as Buffer;
const blobs = () => join(home, 'hub/models--owner--tiny/blobs');
const run = (hub: { endpoint: string }, args: string[], options: CommandOptions = {}) =>
  twinshift(args, { ...options, env: { HF_ENDPOINT: hub.endpoint, HF_HOME: home, HF_TOKEN: '', ...options.env } });

/** Sends the weights up to their middle, and the rest when `go` is called. */
function held(): { fault: Fault; go: () => void } {
  let go: () => void = () => undefined;
  const waiting = new Promise<void>((resolve) => (go = resolve));
  const fault: Fault = (request, response) => {
    if (!request.url?.includes('store') || request.headers.range !== undefined) return false;
    const half = weights().length >> 1;
    response.writeHead(200, { 'content-length': weights().length });
    response.write(weights().subarray(0, half));
    void waiting.then(() => response.end(weights().subarray(half)));
    return true;
  };
  return { fault, go };
}

const partsLeft = () => readdirSync(blobs()).filter((name) => name.endsWith('.incomplete'));

/** Once the first half of the weights has been written. */
async function halfWritten(): Promise<void> {
  for (;;) {
    const parts = partsOrNone().filter((name) => name.startsWith(etagOf('model.safetensors', weights())));
    if (parts.some((name) => readFileSync(join(blobs(), name)).length === weights().length >> 1)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function partsOrNone(): string[] {
  try {
    return partsLeft();
  } catch {
    return [];
  }
}

test('quantize of a model of the hub gives the bytes of its folder, and names its commit in the report', async () => {
  const hub = await start(served);
  const flags = ['--images', images, '--count', '4', '--preset', 'fast', '--out'];
  const [near, far] = [join(folder, 'near'), join(folder, 'far')];
  const local = await twinshift(['quantize', join(folder, 'model'), ...flags, near]);
  expect(local.code, local.stderr).toBe(0);
  const remote = await run(hub, ['quantize', 'owner/tiny@v1.0', ...flags, far]);
  expect(remote.code, remote.stderr).toBe(0);
  expect(remote.stderr).toContain(`asking ${hub.endpoint} for owner/tiny\nfetching owner/tiny@v1.0\n`);
  for (const name of readdirSync(near))
    expect(readFileSync(join(far, name)).equals(readFileSync(join(near, name)))).toBe(true);
  const report = (out: string) => JSON.parse(readFileSync(`${out}.run.json`, 'utf8')) as Record<string, unknown>;
  expect(report(far)).toMatchObject({ model: 'owner/tiny@v1.0', modelCommit: COMMIT });
  expect(report(near)).toMatchObject({ model: join(folder, 'model'), modelCommit: null });
  const offline = { env: { HF_HUB_OFFLINE: '1' } };
  const judged = await run(hub, ['evaluate', 'owner/tiny@v1.0', '--images', images, '--recipe', far], offline);
  expect(judged.code, judged.stderr).toBe(0);
  const file = join(far, 'model.twinshift.safetensors');
  const against = await run(hub, ['evaluate', file, '--images', images, '--against', 'owner/tiny@v1.0'], offline);
  expect(against.code, against.stderr).toBe(0);
});

test('a folder of that path goes first', async () => {
  const hub = await start(served);
  const cwd = join(folder, 'cwd');
  mkdirSync(join(cwd, 'owner/tiny'), { recursive: true });
  for (const [name, content] of Object.entries(served.files)) writeFileSync(join(cwd, 'owner/tiny', name), content);
  const { code, stderr } = await run(hub, ['inspect', 'owner/tiny'], { cwd });
  expect(code, stderr).toBe(0);
  expect(hub.requests).toEqual([]);
});

test.each<[string, string[], RegExp]>([
  [
    'a name that is neither',
    ['inspect', 'owner/other'],
    /owner\/other is no folder here, and as a model of the hub: owner\/other does not exist at http:\/\/127\.0\.0\.1:\d+ or is private/,
  ],
  [
    'a revision that is not there',
    ['inspect', 'owner/tiny@v2'],
    /owner\/tiny at http:\/\/127\.0\.0\.1:\d+ has no revision v2/,
  ],
  [
    'a revision that would leave the cache',
    ['inspect', 'owner/tiny@../../x'],
    /"\.\.\/\.\.\/x" can be no revision of owner\/tiny/,
  ],
  ['a path that is no name', ['inspect', 'owner/tiny/more'], /owner\/tiny\/more does not exist/],
  [
    'a float model where a model file is meant',
    ['evaluate', 'owner/tiny', '--images', 'x', '--runtime', 'mixed'],
    /owner\/tiny is a float model/,
  ],
])('%s ends with code 2', async (_what, args, message) => {
  const { code, stdout, stderr } = await run(await start(served), args);
  expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(message);
});

test.each(['SIGINT', 'SIGKILL'] as const)(
  '%s while it comes keeps what came, and the next run goes on',
  async (signal) => {
    const { fault } = held();
    const hub = await start(served, fault);
    let sent = false;
    const { code, stdout, stderr } = await run(hub, ['inspect', 'owner/tiny'], {
      onStderr(text, child) {
        if (sent || !text.includes('fetching owner/tiny')) return;
        sent = true;
        void halfWritten().then(() => child.kill(signal));
      },
    });
    expect({ code, stdout }, stderr).toEqual({ code: signal === 'SIGKILL' ? 'SIGKILL' : 130, stdout: '' });
    expect(partsLeft()).toHaveLength(1);
    const again = await run(hub, ['inspect', 'owner/tiny']);
    expect(again.code, again.stderr).toBe(0);
    expect(hub.requests.at(-1)?.headers.range).toBe(`bytes=${weights().length >> 1}-`);
    expect(partsLeft()).toEqual([]);
  },
);

test('two commands at once fetch a file once, and the second waits for the first', async () => {
  const { fault, go } = held();
  const hub = await start(served, fault);
  const first = run(hub, ['inspect', 'owner/tiny']);
  await halfWritten();
  const second = run(hub, ['inspect', 'owner/tiny'], {
    onStderr: (text) => void (text.includes('fetching owner/tiny') && setTimeout(go, 300)),
  });
  const [one, two] = await Promise.all([first, second]);
  expect(one.code, one.stderr).toBe(0);
  expect(two).toEqual(one);
  expect(hub.requests.filter(({ line }) => line.includes('/store/model'))).toHaveLength(1);
  expect(partsLeft()).toEqual([]);
});

test('what a command left off for long is taken over, and both end well when it goes on', async () => {
  const { fault, go } = held();
  const hub = await start(served, fault);
  const first = run(hub, ['inspect', 'owner/tiny']);
  await halfWritten();
  const longAgo = new Date(Date.now() - 100_000);
  for (const name of partsLeft()) utimesSync(join(blobs(), name), longAgo, longAgo);
  const second = await run(hub, ['inspect', 'owner/tiny']);
  expect(second.code, second.stderr).toBe(0);
  expect(hub.requests.at(-1)?.headers.range).toBe(`bytes=${weights().length >> 1}-`);
  go();
  expect(await first).toEqual(second);
  expect(partsLeft()).toEqual([]);
});

test('many commands that begin at the same time all end well', async () => {
  const hub = await start(served, (request, response) => {
    if (!request.url?.includes('store')) return false;
    setTimeout(() => sendPart(request, response, weights()), 100);
    return true;
  });
  const all = await Promise.all(Array.from({ length: 3 }, () => run(hub, ['inspect', 'owner/tiny'])));
  for (const { code, stderr } of all) expect(code, stderr).toBe(0);
  expect(new Set(all.map(({ stdout }) => stdout)).size).toBe(1);
  expect(readdirSync(blobs()).sort()).toEqual(
    Object.entries(served.files)
      .map(([name, content]) => etagOf(name, content))
      .sort(),
  );
});
