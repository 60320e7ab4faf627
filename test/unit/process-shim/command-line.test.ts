import { describe, expect, it } from 'vitest';
import { helpText, parseCommandLine, versionText } from '../../../src/process-shim/command-line.ts';

describe('parseCommandLine', () => {
  it('takes flags with one dash or two, their values apart or joined', () => {
    const args = [
      '-namespace',
      'n',
      '--id=i',
      '-address=/a',
      '-publish-binary',
      '/p',
      '-bundle',
      '/b',
      '-debug',
      'start',
    ];
    expect(parseCommandLine(args)).toEqual({
      action: 'start',
      namespace: 'n',
      id: 'i',
      socket: '',
      address: '/a',
      publishBinary: '/p',
      bundle: '/b',
      debug: true,
    });
  });

  it.each([
    [['-v'], 'version'],
    [['-info'], 'info'],
    [['-namespace', 'n', 'delete'], 'delete'],
    [[], 'help'],
    [['-h'], 'help'],
  ] as const)('finds the action of %j', (args, action) => {
    expect(parseCommandLine(args).action).toBe(action);
  });

  it.each([
    [['-id'], 'flag -id needs a value'],
    [['-wrong'], 'there is no flag -wrong'],
    [['stop'], 'there is no action "stop"'],
    [['start', 'delete'], 'one action at a time'],
  ])('refuses %j', (args, message) => {
    expect(() => parseCommandLine(args)).toThrow(message);
  });
});

it('says that it isolates nothing wherever it speaks of itself', () => {
  expect(helpText()).toContain('It isolates nothing');
  expect(versionText()).toContain('It isolates nothing');
});
