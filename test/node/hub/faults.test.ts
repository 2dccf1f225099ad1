import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { COMMIT, etagOf, listOf, refuse, sendPart, type Fault } from '../../support/hubServer.ts';
import { MODEL, noise, SHORT, tree, useHub } from '../../support/hubFolder.ts';

const { hub: start, folder, open } = useHub();
const WEIGHTS = Buffer.from(MODEL.files['model.safetensors'] as Uint8Array);
const NAME = etagOf('model.safetensors', WEIGHTS);
const blobs = 'hub/models--owner--tiny-vit/blobs';
/** Whether the snapshot has the right weights; their bytes are compared at once, which `toEqual` does not. */
const hasWeights = async ({ folder }: { folder: string }) =>
  WEIGHTS.equals(await readFile(join(folder, 'model.safetensors')));
const list = '/api/models/owner/tiny-vit/revision/main?blobs=true';

/** Does `fault` on the requests of a path, the first `times` of them. */
function on(path: RegExp, fault: Fault, times = Infinity): Fault {
  let left = times;
  return (request, response) => path.test(request.url ?? '') && left-- > 0 && fault(request, response);
}

const answer =
  (status: number, headers: Record<string, string> = {}): Fault =>
  (_request, response) => {
    response.writeHead(status, headers).end('<html>no JSON</html>');
    return true;
  };

/** Sends what is asked for up to a byte of the file, then cuts the connection or falls silent. */
const cutAt =
  (end: number, how: 'cut' | 'silent' = 'cut'): Fault =>
  (request, response) => {
    const from = Number(/(\d+)-$/.exec(request.headers.range ?? 'bytes=0-')?.[1]);
    const range = `bytes ${from}-${WEIGHTS.length - 1}/${WEIGHTS.length}`;
    const status = request.headers.range === undefined ? 200 : 206;
    response.writeHead(status, { 'content-length': WEIGHTS.length - from, 'content-range': range });
    response.write(WEIGHTS.subarray(from, end), () => {
      if (how === 'cut') setTimeout(() => request.socket.destroy(), 20);
    });
    return true;
  };

describe('refusals name repository, file and endpoint, and what to do', () => {
  const refusals: [string, Fault, string, RegExp][] = [
    [
      'no such repository',
      on(/api/, (_, r) => (refuse(r, 401, 'RepoNotFound', 'x'), true)),
      '',
      /does not exist at ENDPOINT or is private \(HTTP 401\).*HF_TOKEN/,
    ],
    [
      'a private one, token given',
      on(/api/, (_, r) => (refuse(r, 404, 'RepoNotFound', 'x'), true)),
      'hf_x',
      /does not exist at ENDPOINT or is private .*the token given/,
    ],
    [
      'a token that is refused',
      on(/api/, answer(401)),
      'hf_x',
      /\(HTTP 401\): check the name, or the token given \(HF_TOKEN, or the token file\) may not/,
    ],
    [
      'gated without a token',
      on(/resolve/, (_, r) => (refuse(r, 401, 'GatedRepo', 'Restricted'), true)),
      '',
      /gated \(HTTP 401\): Restricted: accept its conditions at ENDPOINT\/owner\/tiny-vit and set HF_TOKEN/,
    ],
    [
      'gated with a token',
      on(/resolve/, (_, r) => (refuse(r, 403, 'GatedRepo', 'Awaiting review'), true)),
      'hf_x',
      /gated \(HTTP 403\): Awaiting review: .* with the account of the token/,
    ],
    [
      'forbidden without a reason',
      on(/resolve/, answer(403)),
      'hf_x',
      /ENDPOINT refused .* of owner\/tiny-vit@main \(HTTP 403\): the token given .*ENDPOINT\/owner\/tiny-vit for conditions/,
    ],
    [
      'no such revision',
      on(/api/, (_, r) => (refuse(r, 404, 'RevisionNotFound', 'Invalid rev'), true)),
      '',
      /owner\/tiny-vit at ENDPOINT has no revision main/,
    ],
    [
      'no such file',
      on(/resolve.*config\.json/, (_, r) => (refuse(r, 404, 'EntryNotFound', 'x'), true)),
      '',
      /at ENDPOINT has no file (preprocessor_)?config\.json \(HTTP 404\)/,
    ],
    [
      'another server',
      on(/api/, answer(404)),
      '',
      /ENDPOINT knows no model owner\/tiny-vit of revision main \(HTTP 404\).*HF_ENDPOINT/,
    ],
    [
      'a page of a proxy',
      on(/api/, answer(200)),
      '',
      /ENDPOINT answered for owner\/tiny-vit with no JSON.*HF_ENDPOINT and your proxy/,
    ],
    [
      'a refusal of another kind',
      on(/resolve/, answer(451)),
      '',
      /ENDPOINT refused (preprocessor_config|config|model)\.\w+ of owner\/tiny-vit@main \(HTTP 451\)/,
    ],
  ];
  test.each(refusals)('%s', async (_what, fault, token, message) => {
    const hub = await start(MODEL, fault);
    const error = await open(hub, await folder(), { env: token === '' ? {} : { HF_TOKEN: token } }).catch(
      (e: unknown) => e,
    );
    expect(error).toMatchObject({ name: 'HubError' });
    const text = (error as Error).message;
    expect(text.replaceAll(hub.endpoint, 'ENDPOINT')).toMatch(message);
    expect(text).toContain('owner/tiny-vit');
    expect(text).not.toContain('hf_x');
  });

  test('control characters of the server reach no terminal', async () => {
    const hub = await start(MODEL, on(/api/, answer(410, { 'x-error-message': 'a\x9bb' })));
    await expect(open(hub, await folder())).rejects.toThrow('(HTTP 410): a b');
  });

  test.each<[string, object | string]>([
    ['no commit', { siblings: [] }],
    ['a commit that leaves the cache', { sha: '../../../outside', siblings: [] }],
    ['no files', { sha: COMMIT }],
    ['no hash', { sha: COMMIT, siblings: [{ rfilename: 'config.json', size: 2 }] }],
    [
      'a hash that leaves the cache',
      { sha: COMMIT, siblings: [{ rfilename: 'config.json', size: 2, blobId: '../../outside' }] },
    ],
    ['a size that is none', { sha: COMMIT, siblings: [{ rfilename: 'config.json', size: -2, blobId: COMMIT }] }],
  ])('a list with %s is none of a hub', async (_what, body) => {
    const hub = await start(
      MODEL,
      on(/api/, (_, response) => (response.end(JSON.stringify(body)), true)),
    );
    const home = await folder();
    await expect(open(hub, home)).rejects.toThrow('it is no Hugging Face hub');
    expect(await tree(home)).toEqual([]);
  });

  test.each([
    [{}, 'has no config.json'],
    [{ 'config.json': '{}' }, 'has no model.safetensors; look for'],
    [
      { 'config.json': '{}', 'pytorch_model.bin': 'x' },
      'has no model.safetensors, only pytorch_model.bin, a format that runs code',
    ],
  ])('a repository without a model: %j', async (files, message) => {
    const hub = await start({ ...MODEL, files: files });
    await expect(open(hub, await folder())).rejects.toThrow(message);
  });

  test('an endpoint that nobody answers at', async () => {
    const hub = await start();
    await hub.stop();
    const error: unknown = await open(hub, await folder()).catch((e: unknown) => e);
    expect((error as Error).message).toMatch(
      /127\.0\.0\.1:\d+ cannot be reached .*owner\/tiny-vit.*ECONNREFUSED.*tried 3 times/,
    );
  });
});

describe('the token', () => {
  test('goes to the endpoint and to no other origin', async () => {
    const hub = await start();
    await open(hub, await folder(), { env: { HF_TOKEN: ' hf_secret\n' } });
    const sent = hub.requests.map(({ line, headers }) => [line.split(' ')[1]?.split('/')[1], headers.authorization]);
    expect(sent.filter(([path]) => path !== 'store').map(([, token]) => token)).toEqual(
      Array(4).fill('Bearer hf_secret'),
    );
    expect(sent.filter(([path]) => path === 'store')).toEqual([['store', undefined]]);
  });

  test.each<[string, Record<string, string>, string | undefined]>([
    ['is read from the file in HF_HOME', {}, 'Bearer hf_file'],
    ['is that of the environment first', { HF_TOKEN: 'hf_env' }, 'Bearer hf_env'],
    ['may lie elsewhere', { HF_TOKEN_PATH: '$HF_HOME/other' }, 'Bearer hf_other'],
    ['is not sent where that is forbidden', { HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' }, undefined],
  ])('%s', async (_what, env, expected) => {
    const hub = await start();
    const home = await folder();
    await writeFile(join(home, 'token'), 'hf_file\n');
    await writeFile(join(home, 'other'), 'hf_other');
    await open(hub, home, { env });
    expect(hub.requests[0]?.headers.authorization).toBe(expected);
  });

  test('that cannot be sent is refused without being shown', async () => {
    const error: unknown = await open(await start(), await folder(), { env: { HF_TOKEN: 'hf secret' } }).catch(
      (e: unknown) => e,
    );
    expect((error as Error).message).toMatch(/^the token of HF_TOKEN holds characters/);
    expect((error as Error).message).not.toContain('secret');
  });
});

test.each(['ftp://hub', 'hub.example', 'http://user:word@hub', 'http://hub?x=1'])(
  'HF_ENDPOINT %s is no hub',
  async (text) => {
    await expect(open({ endpoint: text }, await folder())).rejects.toThrow('is no address of a hub');
  },
);

describe('another try', () => {
  test.each([408, 429, 500, 502, 503, 504])('comes after %i', async (status) => {
    const hub = await start(MODEL, (request, response) => {
      const isNew = hub.requests.filter(({ line }) => line === `GET ${request.url}`).length === 1;
      return isNew && answer(status)(request, response);
    });
    expect(await hasWeights(await open(hub, await folder()))).toBe(true);
    expect(hub.requests).toHaveLength(11); // each twice but the redirect, which comes thrice
  });

  test('comes when a server asks for it', async () => {
    const home = await folder();
    for (const header of [{ 'retry-after': '1' }, { ratelimit: '"api";r=0;t=1' }] as Record<string, string>[]) {
      const hub = await start(MODEL, on(/api/, answer(429, header), 1));
      const began = performance.now();
      await open(hub, home);
      expect(performance.now() - began).toBeGreaterThan(950);
    }
    const later: Fault = (...args) => {
      const soon = new Date(Date.now() + 1900).toUTCString(); // whole seconds: 0.9 s to 1.9 s from now
      return answer(503, { 'retry-after': soon })(...args);
    };
    const hub = await start(MODEL, on(/api/, later, 1));
    const began = performance.now();
    await open(hub, home);
    expect(performance.now() - began).toBeGreaterThan(800);
  });

  test('does not come for a pause that nobody waits for', async () => {
    const hub = await start(MODEL, on(/api/, answer(429, { 'retry-after': '3600' })));
    await expect(open(hub, await folder())).rejects.toThrow(
      /limits how often it is asked \(HTTP 429\); with HF_TOKEN the limit is higher.*asks for a pause of 3600 s/,
    );
    expect(hub.requests).toHaveLength(1);
  });

  test('comes no more when none gets anywhere', async () => {
    const hub = await start(MODEL, on(/api/, answer(503)));
    await expect(open(hub, await folder())).rejects.toThrow(/has trouble of its own \(HTTP 503\).*tried 3 times/);
    expect(hub.requests.map(({ line }) => line)).toEqual(Array(3).fill(`GET ${list}`));
  });
});

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
