import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cutAt, hasWeights, on, WEIGHTS } from '../../support/hubFaults.ts';
import { MODEL, noise, SHORT, tree, useHub } from '../../support/hubFolder.ts';
import { COMMIT, etagOf, listOf, refuse, sendPart, type Fault } from '../../support/hubServer.ts';

const { hub: start, folder, open } = useHub();
const NAME = etagOf('model.safetensors', WEIGHTS);
const blobs = 'hub/models--owner--tiny-vit/blobs';

describe('a body', () => {
  test('that is cut again and again goes on where it stopped', async () => {
    let end = 0;
    const hub = await start(
      MODEL,
      on(/store/, (...args) => cutAt((end += 40_000))(...args), 7),
    );
    expect(await hasWeights(await open(hub, await folder()))).toBe(true);
    const ranges = hub.requests.flatMap(({ line, headers }) => (line.includes('store') ? [headers.range] : []));
    expect(ranges[0]).toBeUndefined();
    expect(ranges.slice(1)).toEqual([1, 2, 3, 4, 5, 6, 7].map((part) => `bytes=${part * 40_000}-`));
  });

  test('that falls silent goes on', async () => {
    const hub = await start(MODEL, on(/store/, cutAt(100_000, 'silent'), 1));
    const patience = { ...SHORT, silenceMs: 1500 };
    expect(await hasWeights(await open(hub, await folder(), { patience }))).toBe(true);
    expect(hub.requests.at(-1)?.headers.range).toBe('bytes=100000-');
  });

  test('that comes slowly but steadily is waited for', async () => {
    const slow: Fault = (_request, response) => {
      response.writeHead(200, { 'content-length': WEIGHTS.length });
      let at = 0;
      const timer = setInterval(() => {
        response.write(WEIGHTS.subarray(at, (at += 50_000)));
        if (at >= WEIGHTS.length) {
          clearInterval(timer);
          response.end();
        }
      }, 300);
      return true;
    };
    const hub = await start(MODEL, on(/store/, slow));
    const patience = { ...SHORT, silenceMs: 1500 };
    expect(await hasWeights(await open(hub, await folder(), { patience }))).toBe(true);
    expect(hub.requests).toHaveLength(5);
  });

  test('that is cut for good is kept, and the next run goes on with it', async () => {
    const home = await folder();
    const cut = await start(
      MODEL,
      on(/store/, (request, response) => cutAt(120_000)(request, response)),
    );
    await expect(open(cut, home)).rejects.toThrow(
      /127\.0\.0\.1.*model\.safetensors of owner\/tiny-vit.*what has come is kept/,
    );
    const left = (await tree(join(home, blobs))).filter((name) => name.includes('.incomplete'));
    expect(left).toEqual([
      expect.stringMatching(new RegExp(`^${NAME}\\.[0-9a-f]{8}-${process.pid}-[0-9a-f]{8}\\.incomplete$`)),
    ]);
    const hub = await start();
    const bytes: number[] = [];
    expect(await hasWeights(await open(hub, home, { onBytes: (done) => bytes.push(done) }))).toBe(true);
    expect(hub.requests.at(-1)?.headers.range).toBe('bytes=120000-');
    expect(Math.max(...bytes.slice(0, 3))).toBeGreaterThanOrEqual(120_000);
    expect((await tree(join(home, blobs))).filter((name) => name.includes('.incomplete'))).toEqual([]);
  });

  test('whose server knows no ranges is fetched anew', async () => {
    const whole: Fault = (_request, response) => (response.end(WEIGHTS), true);
    let first = true;
    const hub = await start(
      MODEL,
      on(/store/, (...args) => (first ? ((first = false), cutAt(100_000)(...args)) : whole(...args))),
    );
    expect(await hasWeights(await open(hub, await folder()))).toBe(true);
    expect(hub.requests.filter(({ line }) => line.includes('store'))).toHaveLength(2);
  });

  test('of another part than was asked for is not mixed in', async () => {
    let step = 0;
    const hub = await start(
      MODEL,
      on(/store/, (request, response) => {
        step++;
        if (step === 1) return cutAt(100_000)(request, response);
        if (step > 2) return false;
        const range = `bytes 50000-${WEIGHTS.length - 1}/${WEIGHTS.length}`;
        response.writeHead(206, { 'content-range': range }).end(WEIGHTS.subarray(50_000));
        return true;
      }),
    );
    expect(await hasWeights(await open(hub, await folder()))).toBe(true);
    expect(hub.requests.at(-1)?.headers.range).toBeUndefined();
  });

  test('after a part of an earlier run that was spoilt is fetched anew', async () => {
    const home = await folder();
    const cut = await start(MODEL, on(/store/, cutAt(120_000)));
    await expect(open(cut, home)).rejects.toThrow('kept');
    const [part] = (await tree(join(home, blobs))).filter((name) => name.includes('.incomplete'));
    await writeFile(join(home, blobs, part as string), noise(120_000, 9));
    const hub = await start();
    expect(await hasWeights(await open(hub, home))).toBe(true);
    const ranges = hub.requests.flatMap(({ line, headers }) => (line.includes('store') ? [headers.range] : []));
    expect(ranges).toEqual(['bytes=120000-', undefined]);
  });

  const spoilt = Buffer.from(WEIGHTS);
  spoilt[250_000] = (spoilt[250_000] as number) ^ 1;
  test.each<[string, Fault, RegExp]>([
    [
      'a bit',
      (request, response) => (sendPart(request, response, spoilt), true),
      /has the hash [0-9a-f]{64} instead of [0-9a-f]{64}/,
    ],
    [
      'a shorter length',
      (request, response) => (sendPart(request, response, WEIGHTS.subarray(1)), true),
      /has 299999 bytes instead of 300000/,
    ],
    [
      'a longer length',
      (request, response) => (sendPart(request, response, noise(300_001)), true),
      /has 300001 bytes instead of 300000/,
    ],
    [
      'no length and a byte too many',
      (_, response) => (response.writeHead(200), response.end(noise(300_001)), true),
      /has more than 300000 bytes/,
    ],
  ])('with %s changed is refused and not kept', async (_what, fault, message) => {
    const hub = await start(MODEL, on(/store/, fault));
    const home = await folder();
    const error: unknown = await open(hub, home).catch((e: unknown) => e);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toContain(`model.safetensors of owner/tiny-vit from ${hub.endpoint}`);
    expect((await tree(home)).filter((path) => path.includes(NAME) || path.includes('safetensors'))).toEqual([]);
    expect(hub.requests.filter(({ line }) => line.includes('store'))).toHaveLength(1);
  });

  test('of a small file with a byte changed is refused by the hash of git', async () => {
    const other: Fault = (_, response) => (response.end('{"architecture": "vit_tinY"}'), true);
    const hub = await start(MODEL, on(/resolve.*\/config/, other));
    await expect(open(hub, await folder())).rejects.toThrow(
      /config\.json of .* has the hash [0-9a-f]{40} instead of [0-9a-f]{40}/,
    );
  });

  test('of a file that the hub lists with another size is refused', async () => {
    const wrong = JSON.stringify(listOf(MODEL, COMMIT)).replaceAll('300000', '300001');
    const hub = await start(
      MODEL,
      on(/api/, (_, response) => (response.end(wrong), true)),
    );
    await expect(open(hub, await folder())).rejects.toThrow('has 300000 bytes instead of 300001');
  });
});

test('the first failure ends the other files, and what came of them is kept', async () => {
  const home = await folder();
  const hub = await start(MODEL, (request, response) => {
    if (/store/.test(request.url ?? '')) return cutAt(100_000, 'silent')(request, response);
    if (!/preprocessor/.test(request.url ?? '')) return false;
    setTimeout(() => refuse(response, 403, 'GatedRepo', 'x'), 150);
    return true;
  });
  await expect(open(hub, home)).rejects.toThrow('gated');
  const parts = (await tree(join(home, blobs))).filter((name) => name.includes('.incomplete'));
  expect(parts).toHaveLength(1);
  expect((await readFile(join(home, blobs, parts[0] as string))).length).toBe(100_000);
});

test('an abort ends it at once, leaves what came, and gives its reason', async () => {
  const home = await folder();
  const hub = await start(MODEL, on(/store/, cutAt(100_000, 'silent')));
  const controller = new AbortController();
  const reason = new Error('interrupted');
  const opening = open(hub, home, {
    signal: controller.signal,
    onBytes: (done) => {
      if (done > 100_000) controller.abort(reason);
    },
  });
  await expect(opening).rejects.toBe(reason);
  const again = await start();
  expect(await hasWeights(await open(again, home))).toBe(true);
  expect(again.requests.at(-1)?.headers.range).toBe('bytes=100000-');
});
