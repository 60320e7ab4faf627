import { parseRestartPolicy, type RestartPolicy, restartLabels } from '../shared/restart-labels.ts';

/** What a container's labels ask for. */
export type Wish =
  /** It is no service, or its labels make no sense: nothing is done. */
  | { readonly kind: 'none'; readonly problem?: string }
  | { readonly kind: 'stopped' }
  | {
      readonly kind: 'running';
      readonly policy: RestartPolicy;
      /** Restarts so far. */
      readonly count: number;
      readonly explicitlyStopped: boolean;
      /** Where its output shall go; not to be trusted, see `log-target.ts`. '' for nowhere. */
      readonly log: string;
    };

const trueWords = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);

export function isService(labels: Readonly<Record<string, string>>): boolean {
  return labels[restartLabels.status] !== undefined;
}

export function readWish(labels: Readonly<Record<string, string>>): Wish {
  const status = labels[restartLabels.status];
  if (status === 'stopped') return { kind: 'stopped' };
  if (status !== 'running') {
    return status === undefined ? { kind: 'none' } : { kind: 'none', problem: `${restartLabels.status}=${status}` };
  }
  let policy: RestartPolicy;
  try {
    policy = parseRestartPolicy(labels[restartLabels.policy] ?? '');
  } catch {
    return { kind: 'none', problem: `${restartLabels.policy}=${labels[restartLabels.policy]}` };
  }
  const count = labels[restartLabels.count] ?? '0';
  // A count that is none would make a limit that is none.
  if (!/^\d{1,15}$/.test(count) && policy.kind === 'on-failure') {
    return { kind: 'none', problem: `${restartLabels.count}=${count}` };
  }
  return {
    kind: 'running',
    policy,
    count: /^\d{1,15}$/.test(count) ? Number(count) : 0,
    explicitlyStopped: trueWords.has(labels[restartLabels.explicitlyStopped] ?? ''),
    log: labels[restartLabels.logUri] ?? '',
  };
}
