import type { LocalModel, Model } from '../node.ts';
import type { Context } from './command.ts';
import { formatBytes } from './text.ts';

/** A float model, and where it was found. */
export interface FoundModel extends LocalModel {
  readonly model: Model;
}

/** Reads the float model that `<model>` names: a folder, or a model of the hub, which is fetched where the cache lacks it. */
export async function loadModel(name: string, context: Pick<Context, 'progress' | 'signal'>): Promise<FoundModel> {
  const { progress, signal } = context;
  const node = await import('../node.ts');
  let start: { readonly ms: number; readonly bytes: number } | undefined;
  const found = await node.openModel(name, {
    signal,
    onHub: ({ repository }, endpoint) =>
      progress.report({ stage: `asking ${endpoint} for ${repository}`, done: 0, total: 0 }),
    onBytes(done, total) {
      const now = performance.now();
      // what an earlier run fetched tells nothing of the speed
      start ??= { ms: now, bytes: done };
      const fetched = done - start.bytes;
      progress.report({
        stage: `fetching ${name}`,
        done,
        total,
        detail: `${formatBytes(done)} of ${formatBytes(total)}`,
        ...(fetched > 0 ? { remainingMs: ((now - start.ms) * (total - done)) / fetched } : {}),
      });
    },
    onNote: (text) => progress.note(`twinshift: ${text}`),
  });
  progress.clear();
  return { ...found, model: await node.loadModelFolder(found.folder) };
}
