import { constants } from 'node:os';

/** What a foreground process is sent when we are. */
export const forwardedSignals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
export type ForwardedSignal = (typeof forwardedSignals)[number];

/** Those of them that ask to end, and so give up a task that has not been started yet. */
export function asksToEnd(signal: ForwardedSignal): boolean {
  return signal !== 'SIGUSR1' && signal !== 'SIGUSR2';
}

export function signalNumber(signal: ForwardedSignal): number {
  return constants.signals[signal];
}

/** Catches the forwarded signals until the function that it answers is called; from then on they act as usual. */
export function onForwardedSignal(listener: (signal: ForwardedSignal) => void): () => void {
  const listeners = forwardedSignals.map((signal) => {
    const caught = () => listener(signal);
    process.on(signal, caught);
    return () => process.off(signal, caught);
  });
  return () => {
    for (const remove of listeners) remove();
  };
}
