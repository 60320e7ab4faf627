import { readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import type { z } from 'zod';
import { configurationError, type StartError } from '../exit-code.ts';
import { lineOfKey } from './key-position.ts';
import { type ConfigFile, configSchema } from './schema.ts';

/** Reads and checks a configuration file. Every error names the file, and the line and key where there is one. */
export function readConfigFile(file: string): ConfigFile {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw configurationError(`cannot read configuration file ${file}: ${reasonOf(error)}`);
  }
  return parseConfig(file, text);
}

/** `file` is for messages. */
export function parseConfig(file: string, text: string): ConfigFile {
  let document: unknown;
  try {
    document = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The rest of the message is a drawing of the place.
    const reason = error.message.split('\n')[0]?.replace('Invalid TOML document: ', '') ?? 'not TOML';
    throw configurationError(`${file}:${error.line}:${error.column}: ${reason}`);
  }
  const result = configSchema.safeParse(document);
  if (result.success) return result.data;
  throw describe(file, text, result.error.issues[0]);
}

function describe(file: string, text: string, issue: z.core.$ZodIssue | undefined): StartError {
  if (issue === undefined) return configurationError(`${file}: not a valid configuration`);
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const key = unknown === undefined ? issue.path : [...issue.path, unknown];
  const line = lineOfKey(text, key);
  const place = line === undefined ? file : `${file}:${line}`;
  const problem = unknown === undefined ? problemOf(issue) : 'no such setting';
  return configurationError(`${place}: ${nameOf(key)}: ${problem}`);
}

/** A bad key of a table says its reason one level further down. */
function problemOf(issue: z.core.$ZodIssue): string {
  const inner = issue.code === 'invalid_key' ? issue.issues[0]?.message : undefined;
  return inner ?? issue.message;
}

function nameOf(key: readonly PropertyKey[]): string {
  return key
    .map(String)
    .map((part) => (/^[\w-]+$/.test(part) ? part : JSON.stringify(part)))
    .join('.');
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
