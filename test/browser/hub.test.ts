import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { inChromium } from '../support/browserSession.ts';
import { useHub } from '../support/hubFolder.ts';
import { COMMIT, etagOf, type ServedRepository } from '../support/hubServer.ts';

const { hub: start } = useHub();
const sample = path.join(import.meta.dirname, '../../models/sample');
const WEIGHTS = readFileSync(path.join(sample, 'model.safetensors'));
const SAMPLE: ServedRepository = {
  repository: 'owner/sample',
  revisions: { main: COMMIT },
  files: { 'config.json': readFileSync(path.join(sample, 'config.json')), 'model.safetensors': WEIGHTS },
};

interface Fetched {
  readonly error?: string;
  readonly commit?: string;
  readonly sha256?: string;
  readonly bytes: readonly number[];
  readonly notes: readonly string[];
}

/** Fetches the sample in a page. */
const fetchIn = (page: Page, endpoint: string, cache = true): Promise<Fetched> =>
  page.evaluate(
    async (given) => {
      const { fetchModel } = await twinshift;
      const notes: string[] = [];
      let bytes: number[] = [];
      const patience = { retries: 2, pauseMs: 10 };
      const options = { ...given, patience, token: 'hf_secret', onNote: (text: string) => notes.push(text) };
      try {
        const onBytes = (...step: number[]) => (bytes = step);
        const { model, commit } = await fetchModel('owner/sample', { ...options, onBytes });
        return { commit, sha256: model.weightsSha256, bytes, notes };
      } catch (error) {
        return { error: `${(error as Error).name}: ${(error as Error).message}`, bytes, notes };
      }
    },
    { endpoint, cache },
  );

test('a page of headless Chromium fetches a model, keeps it, and goes on where it was cut', async () => {
  const end = WEIGHTS.length - 20_000;
  let isCut = true;
  const hub = await start(SAMPLE, (request, response) => {
    if (!isCut || !/store/.test(request.url ?? '')) return false;
    if (request.headers.range !== undefined) {
      response.writeHead(403).end(); // ends it: a cut alone would be tried again
    } else {
      response.writeHead(200, { 'content-length': WEIGHTS.length });
      response.write(WEIGHTS.subarray(0, end), () => setTimeout(() => request.socket.destroy(), 500));
    }
    return true;
  });
  const asked = () => hub.requests.splice(0).filter(({ line }) => line.startsWith('GET'));
  const whole = WEIGHTS.length + (SAMPLE.files['config.json'] as Buffer).length;
  const expected = { commit: COMMIT, notes: [], bytes: [whole, whole] };
  await inChromium({}, async (page) => {
    const { error } = await fetchIn(page, hub.endpoint);
    expect(error).toMatch(/^HubError: http:.* refused model\.safetensors of owner\/sample@main \(HTTP 403\)/);
    const [resumed, ...others] = new Set(asked().flatMap(({ headers }) => headers.range ?? []));
    expect(others).toEqual([]);
    const from = Number(/^bytes=(\d+)-$/.exec(resumed ?? '')?.[1]);
    expect(from).toBeGreaterThanOrEqual(2 ** 20);
    expect(from).toBeLessThanOrEqual(end); // a browser that is busy drops what it has not handed over when the line is cut
    isCut = false;
    await page.reload();

    const fetched = await fetchIn(page, hub.endpoint);
    expect(fetched).toMatchObject(expected);
    const requests = asked();
    expect(requests.map(({ line }) => line)).toEqual([
      'GET /api/models/owner/sample/revision/main?blobs=true',
      `GET /owner/sample/resolve/${COMMIT}/model.safetensors`,
      'GET /store/model.safetensors',
    ]);
    expect(requests.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer hf_secret',
      'Bearer hf_secret',
      undefined,
    ]);
    expect(requests.map(({ headers }) => headers.range)).toEqual([undefined, 'bytes=1048576-', 'bytes=1048576-']);

    await page.reload();
    expect(await fetchIn(page, hub.endpoint)).toEqual(fetched);
    expect(asked()).toHaveLength(1);
    expect(await fetchIn(page, hub.endpoint, false)).toEqual(fetched);
    expect(asked()).toHaveLength(4);
  });
});

test('a page refuses bytes with another hash and keeps none of them', async () => {
  const spoilt = Buffer.from(WEIGHTS);
  spoilt[spoilt.length - 1] = (spoilt[spoilt.length - 1] as number) ^ 1;
  let isSpoilt = true;
  const hub = await start(SAMPLE, (request, response) => {
    if (!isSpoilt || !/store/.test(request.url ?? '')) return false;
    response.end(spoilt);
    return true;
  });
  await inChromium({}, async (page) => {
    const { error } = await fetchIn(page, hub.endpoint);
    expect(error).toMatch(
      /^HubError: model\.safetensors of owner\/sample from http:.* has the hash [0-9a-f]{64} instead of/,
    );
    const kept = await page.evaluate(async () =>
      (await (await caches.open('twinshift-hub')).keys()).map(({ url }) => url),
    );
    expect(kept.length).toBeGreaterThan(0); // the list of files, at least
    expect(kept.filter((url) => url.includes(etagOf('model.safetensors', WEIGHTS)))).toEqual([]);
    isSpoilt = false;
    expect((await fetchIn(page, hub.endpoint)).commit).toBe(COMMIT);
    expect(hub.requests.at(-1)?.headers.range).toBeUndefined();
    await hub.stop();
    const offline = await fetchIn(page, hub.endpoint);
    expect(offline.commit).toBe(COMMIT);
    expect(offline.notes).toEqual([expect.stringContaining('Going on with what this page kept')]);
  });
});
