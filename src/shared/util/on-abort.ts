import { setMaxListeners } from 'node:events';

/**
 * Calls `listener` once when `signal` aborts; returns what takes that back. Many may wait on one signal: Node's warning of a
 * leak from the eleventh on is switched off for it. An already aborted signal calls nobody.
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined) return () => undefined;
  setMaxListeners(0, signal);
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}
