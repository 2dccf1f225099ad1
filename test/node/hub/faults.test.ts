import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { answer, hasWeights, on } from '../../support/hubFaults.ts';
import { MODEL, tree, useHub } from '../../support/hubFolder.ts';
import { COMMIT, refuse, type Fault } from '../../support/hubServer.ts';

const { hub: start, folder, open } = useHub();
const list = '/api/models/owner/tiny-vit/revision/main?blobs=true';

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
