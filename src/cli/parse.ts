import { constants } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { formatRestartPolicy, parseRestartPolicy } from '../shared/restart-labels.ts';

// Parsers of option values. Each throws an error whose message completes "--option VALUE: …".

/** `NAME=value`; `NAME` alone takes the value from our own environment, and nothing where there is none. */
export function parseEnvironment(
  text: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const [name = ''] = text.split('=', 1);
  if (name === '') throw new Error('has to be NAME=VALUE, or NAME for a variable of this shell');
  if (text.includes('\0')) throw new Error('must not hold a zero byte');
  if (text.includes('=')) return text;
  const value = env[name];
  if (value === undefined) throw new Error(`${name} is not set here; give it a value with ${name}=VALUE`);
  return `${name}=${value}`;
}

export function parseLabel(text: string): readonly [key: string, value: string] {
  const at = text.indexOf('=');
  if (at === 0 || text === '') throw new Error('has to be KEY=VALUE');
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

const sizeUnits: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** Bytes: a number with `k`, `m`, `g` or `t` (powers of 1024), `kb` and `kib` alike. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  const bytes = match ? Math.round(Number(match[1]) * (sizeUnits[(match[2] ?? '').toLowerCase()] ?? Number.NaN)) : 0;
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new Error('has to be a size such as 512m or 2g');
}

export function parsePositive(text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && Number.isFinite(number) && number > 0) return number;
  throw new Error('has to be a number above 0');
}

export function parseCount(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number > 0) return number;
  throw new Error('has to be a whole number above 0');
}

export function parseWhole(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new Error('has to be a whole number');
}

export function parseNetwork(text: string): 'none' | 'host' {
  if (text === 'none' || text === 'host') return text;
  throw new Error("has to be 'none' or 'host'");
}

/** A restart policy, in the form that its label has. */
export function parseRestart(text: string): string {
  if (text === '') throw new Error("has to be 'always', 'unless-stopped', 'on-failure', 'on-failure:N' or 'no'");
  return formatRestartPolicy(parseRestartPolicy(text));
}

/** Seconds, in milliseconds; 0 is a number too. */
export function parseSeconds(text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && Number.isFinite(number) && number >= 0 && number <= 86_400)
    return Math.round(number * 1000);
  throw new Error('has to be a number of seconds, at most 86400');
}

/** A path inside the container. */
export function parseInnerPath(text: string): string {
  if (path.isAbsolute(text) && !text.includes('\0')) return text;
  throw new Error('has to be an absolute path inside the container');
}

/** A file of the host, as the `file://` URI that shims take. */
export function parseLogFile(text: string): string {
  if (text === '' || text.endsWith('/')) throw new Error('has to be the path of a file');
  return pathToFileURL(path.resolve(text)).href;
}

const firstRealtime = 34;
const lastSignal = 64;

/** A signal's number, of its name with or without `SIG`, or of its number (1–64); `RTMIN+n` and `RTMAX-n` too. */
export function parseSignal(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, '');
  const realtime = /^RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  const number = realtime
    ? (realtime[1] === 'MIN' ? firstRealtime : lastSignal) + Number(`${realtime[2] ?? '+'}${realtime[3] ?? 0}`)
    : /^\d+$/.test(name)
      ? Number(name)
      : Object.entries(constants.signals).find(([known]) => known === `SIG${name}`)?.[1];
  const lowest = realtime ? firstRealtime : 1;
  if (number !== undefined && number >= lowest && number <= lastSignal) return number;
  throw new Error('is no signal; give a name such as SIGTERM or HUP, or a number from 1 to 64');
}
