import {
  formatRestartPolicy,
  parseRestartPolicy,
  restartExtension,
  restartLabels,
} from '../../shared/restart-labels.ts';

/** What a container says of its restarts, as the CLI shows it. */
export interface RestartView {
  readonly policy: string;
  /** What its task shall be. */
  readonly status: string;
  /** Restarts so far. */
  readonly count: number;
  readonly explicitlyStopped: boolean;
}

/** Undefined for a container that is no service. */
export function restartView(labels: Readonly<Record<string, string>> | null | undefined): RestartView | undefined {
  const status = labels?.[restartLabels.status];
  if (labels === null || labels === undefined || status === undefined) return undefined;
  return {
    policy: policyText(labels[restartLabels.policy] ?? ''),
    status,
    count: Number.parseInt(labels[restartLabels.count] ?? '0', 10) || 0,
    explicitlyStopped: labels[restartLabels.explicitlyStopped] === 'true',
  };
}

function policyText(label: string): string {
  try {
    return formatRestartPolicy(parseRestartPolicy(label));
  } catch {
    return label;
  }
}

type Extensions = Readonly<Record<string, { readonly value?: Uint8Array | null }>> | null | undefined;

/** Why the latest restart failed, out of what the daemon wrote down; undefined where it did not. */
export function restartError(extensions: Extensions): string | undefined {
  return textIn(recordOf(extensions), 'error');
}

/** The log that a client had the latest task write to, out of what the daemon wrote down. */
export function lastLog(extensions: Extensions): string | undefined {
  const record = recordOf(extensions);
  const launch: unknown = record === undefined ? undefined : Reflect.get(record, 'launch');
  const target = textIn(typeof launch === 'object' && launch !== null ? launch : undefined, 'stdout');
  return target !== undefined && /^(file|binary):/.test(target) ? target : undefined;
}

function recordOf(extensions: Extensions): object | undefined {
  try {
    const record: unknown = JSON.parse(Buffer.from(extensions?.[restartExtension]?.value ?? []).toString());
    return typeof record === 'object' && record !== null ? record : undefined;
  } catch {
    return undefined;
  }
}

function textIn(from: object | undefined, name: string): string | undefined {
  const value: unknown = from === undefined ? undefined : Reflect.get(from, name);
  return typeof value === 'string' ? value : undefined;
}

/** Labels of a new service. `log` is the URI that its output goes to. */
export function serviceLabels(policy: string, log: string | undefined): Record<string, string> {
  return {
    [restartLabels.status]: 'running',
    [restartLabels.policy]: policy,
    ...(log === undefined ? {} : { [restartLabels.logUri]: log }),
  };
}
