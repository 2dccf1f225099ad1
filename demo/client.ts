/** The page's end of the worker. */
import workerAddress from './worker/worker.ts?worker&url';
import type { Reply, Request } from './protocol.ts';

export interface Client {
  send(request: Request, transfer?: Transferable[]): void;
}

/**
 * Starts the worker. It is a module behind a blob's address because such a worker is held to the Content-Security-Policy of the page;
 * one that is loaded from a server has the policy that the server sends with it, which a static host may lack.
 */
export function startWorker(onReply: (reply: Reply) => void): Client {
  const script = new URL(workerAddress, document.baseURI).href;
  const source = new Blob([`import ${JSON.stringify(script)};`], { type: 'text/javascript' });
  const address = URL.createObjectURL(source);
  const worker = new Worker(address, { type: 'module', name: document.baseURI });
  worker.onmessage = ({ data }: MessageEvent<Reply>) => onReply(data);
  worker.onerror = (event) => {
    const message = `The worker of the page failed: ${event.message || 'its script cannot be loaded'}`;
    onReply({ kind: 'failed', during: 'hello', failure: { kind: 'program', message } });
  };
  return { send: (request, transfer = []) => worker.postMessage(request, transfer) };
}
