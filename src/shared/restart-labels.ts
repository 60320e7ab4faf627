/** The labels by which a container says that it is a service; containerd's own names, so that its clients see and set them. */
export const restartLabels = {
  /** What the task shall be: `running` or `stopped`. Without it a container is no service. */
  status: 'containerd.io/restart.status',
  policy: 'containerd.io/restart.policy',
  /** Restarts so far. */
  count: 'containerd.io/restart.count',
  explicitlyStopped: 'containerd.io/restart.explicitly-stopped',
  logUri: 'containerd.io/restart.loguri',
} as const;

/** The extension of a container in which the daemon writes down what it knows of a service: JSON. */
export const restartExtension = 'io.shimd.restart';

/** When a task that ended is started anew. `on-failure` without a limit: `retries` is 0. */
export type RestartPolicy =
  | { readonly kind: 'no' }
  | { readonly kind: 'always' }
  | { readonly kind: 'unless-stopped' }
  | { readonly kind: 'on-failure'; readonly retries: number };

/** Reads a policy as labels and command lines have it; '' is `always`, as containerd reads it. Throws an Error. */
export function parseRestartPolicy(text: string): RestartPolicy {
  const [kind = '', ...limit] = text.split(':');
  switch (kind) {
    case '':
    case 'always':
    case 'no':
    case 'unless-stopped':
      if (limit.length > 0) throw new Error(`only on-failure takes a number, not '${kind}'`);
      return { kind: kind === '' ? 'always' : kind };
    case 'on-failure': {
      const [retries = '0'] = limit;
      if (limit.length > 1 || !/^\d{1,9}$/.test(retries)) throw new Error('has to be on-failure:N with a whole number');
      return { kind, retries: Number(retries) };
    }
    default:
      throw new Error("has to be 'always', 'unless-stopped', 'on-failure', 'on-failure:N' or 'no'");
  }
}

export function formatRestartPolicy(policy: RestartPolicy): string {
  return policy.kind === 'on-failure' && policy.retries > 0 ? `${policy.kind}:${policy.retries}` : policy.kind;
}
