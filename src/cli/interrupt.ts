/**
 * A signal that the first Ctrl-C (or SIGTERM) aborts, so that work stops at its next step and takes its temporary files
 * away. A second one ends the process at once: the handler is gone by then.
 */
export function interruptible(): { readonly signal: AbortSignal; readonly release: () => void } {
  const controller = new AbortController();
  const release = () => {
    process.off('SIGINT', abort);
    process.off('SIGTERM', abort);
  };
  const abort = () => {
    release();
    controller.abort();
  };
  process.on('SIGINT', abort);
  process.on('SIGTERM', abort);
  return { signal: controller.signal, release };
}
