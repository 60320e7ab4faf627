import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { defaultRestart } from '../../../src/restart/config.ts';
import { logTarget } from '../../../src/restart/log-target.ts';
import type { Launch } from '../../../src/restart/record.ts';

function logs(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'shimd-logs-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(path.join(directory, 'allowed'));
  return directory;
}

const launch = (stdout: string, stderr = stdout): Launch => ({
  runtime: 'r',
  rootfs: [],
  stdout,
  stderr,
  terminal: false,
});
const nowhere = { stdin: '', stdout: '', stderr: '', terminal: false };

test('a log that a caller chose is used again, with and without a label', async () => {
  const how = { terminal: false, config: defaultRestart };
  const program = 'binary:///usr/bin/logger?x=y';
  const stdio = { ...nowhere, stdout: program, stderr: program };
  expect(await logTarget(program, launch(program), how)).toEqual({ stdio });
  expect(await logTarget('', launch(program), how)).toEqual({ stdio });
  expect(await logTarget('', launch('file:///a', 'file:///b'), how)).toEqual({
    stdio: { ...nowhere, stdout: 'file:///a', stderr: 'file:///b' },
  });
  expect(await logTarget('', launch(program), { ...how, terminal: true })).toEqual({
    stdio: { ...nowhere, stdout: program, terminal: true },
  });
});

test('FIFOs of a client that is gone are not used again', async () => {
  const how = { terminal: false, config: defaultRestart };
  expect(await logTarget('', launch('/run/x/stdout', '/run/x/stderr'), how)).toEqual({ stdio: nowhere });
});

test('a program that only a label names is run only where the configuration says so', async () => {
  const program = 'binary:///bin/sh?-c=evil';
  for (const made of [undefined, launch(''), launch('binary:///bin/sh')]) {
    const refused = await logTarget(program, made, { terminal: false, config: defaultRestart });
    expect(refused).toMatchObject({ stdio: nowhere, refused: expect.stringContaining('binary_logs') });
  }
  const config = { ...defaultRestart, binaryLogs: true };
  expect((await logTarget(program, undefined, { terminal: false, config })).stdio.stdout).toBe(program);
});

test('a file that only a label names is written to only where it really is below a configured directory', async () => {
  const directory = logs();
  const config = { ...defaultRestart, logDirectories: [path.join(directory, 'allowed')] };
  symlinkSync('/etc', path.join(directory, 'allowed/out'));
  symlinkSync('/etc/passwd', path.join(directory, 'allowed/link'));
  const target = async (label: string) => (await logTarget(label, undefined, { terminal: false, config })).refused;
  const uri = (file: string) => pathToFileURL(path.join(directory, file)).href;
  expect(await target(uri('allowed/web.log'))).toBeUndefined();
  for (const file of [
    'web.log',
    'allowed/../web.log',
    'allowed/out/cron.d',
    'allowed/link',
    'allowed/missing/web.log',
  ]) {
    expect({ file, refused: await target(uri(file)) }).toEqual({ file, refused: expect.any(String) });
  }
  for (const label of ['/var/log/x', 'http://host/x', 'file://host/x', 'file:', '\0']) {
    expect({ label, refused: await target(label) }).toEqual({ label, refused: expect.any(String) });
  }
});
