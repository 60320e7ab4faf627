import { setMaxListeners } from 'node:events';

const nothing = () => undefined;
const unlimited = new WeakSet<AbortSignal>();

/**
 * Calls `listener` once when `signal` aborts; returns what takes that back. Many may wait on one signal: Node's warning of a
 * leak from the eleventh on is switched off for it. An already aborted signal calls nobody.
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined) return nothing;
  if (!unlimited.has(signal)) {
    unlimited.add(signal);
    setMaxListeners(0, signal);
  }
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}
