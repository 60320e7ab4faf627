import { deferred } from '../../shared/util/deferred.ts';

const stopSignals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
type StopSignal = (typeof stopSignals)[number];

/** Listens for the signals that stop a daemon, from the call on. */
export interface StopSignals extends Disposable {
  /** The first of them. */
  readonly first: Promise<StopSignal>;
}

/** `onSecond` is called for every one after the first: whoever sends it does not want to wait. */
export function listenForStop(onSecond: (signal: StopSignal) => void): StopSignals {
  const first = deferred<StopSignal>();
  let stopping = false;
  const listener = (received: NodeJS.Signals) => {
    const signal = stopSignals.find((one) => one === received);
    if (signal === undefined) return;
    if (stopping) onSecond(signal);
    stopping = true;
    first.resolve(signal);
  };
  for (const signal of stopSignals) process.on(signal, listener);
  return {
    first: first.promise,
    [Symbol.dispose]: () => {
      for (const signal of stopSignals) process.off(signal, listener);
    },
  };
}
