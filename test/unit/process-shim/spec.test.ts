import { describe, expect, it } from 'vitest';
import { parseExecSpec, parseSpec } from '../../../src/process-shim/spec.ts';

const plain = { ociVersion: '1.1.0', root: { path: '/' }, process: { args: ['true'], cwd: '/tmp' } };
const parse = (changes: object) => parseSpec(JSON.stringify({ ...plain, ...changes }));

describe('parseSpec', () => {
  it('takes what a process on the host can be given', () => {
    const process = {
      args: ['a', 'b'],
      env: ['A=1'],
      cwd: '/x',
      user: { uid: 1, gid: 2, additionalGids: [3], umask: 0o27 },
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1, hard: 2 ** 64 }],
      oomScoreAdj: -5,
      noNewPrivileges: true,
      consoleSize: { width: 10, height: 20 },
    };
    expect(parse({ process }).process).toEqual({
      args: ['a', 'b'],
      environment: ['A=1'],
      cwd: '/x',
      uid: 1,
      gid: 2,
      additionalGids: [3],
      umask: 0o27,
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1, hard: 2 ** 64 }],
      oomScoreAdj: -5,
      noNewPrivileges: true,
      consoleSize: { width: 10, height: 20 },
    });
  });

  it('leaves a user that the spec does not name to the shim', () => {
    expect(parse({}).process).toMatchObject({ uid: undefined, gid: undefined, cwd: '/tmp' });
  });

  it('refuses every kind of isolation, names all of it at once, and says what to do', () => {
    const isolated = {
      root: { path: 'rootfs', readonly: true },
      mounts: [{ destination: '/proc' }],
      hostname: 'h',
      linux: {
        namespaces: [{ type: 'pid' }],
        seccomp: { defaultAction: 'X' },
        cgroupsPath: '/a',
        resources: { memory: { limit: 1 } },
      },
      process: { ...plain.process, capabilities: { bounding: ['CAP_KILL'] } },
    };
    expect(() => parse(isolated)).toThrow(
      /root\.path "rootfs", root\.readonly, mounts, hostname, linux\.namespaces, linux\.seccomp, linux\.resources, process\.capabilities: .*io\.shimd\.process\.ignore-isolation/,
    );
    const ignored = parse({ ...isolated, annotations: { 'io.shimd.process.ignore-isolation': 'true' } });
    expect(ignored).toMatchObject({ ignoreIsolation: true, process: { args: ['true'] } });
  });

  it('takes empty settings for none', () => {
    expect(
      parse({ mounts: [], hostname: '', linux: { namespaces: [], resources: { devices: [], memory: {} } } })
        .ignoreIsolation,
    ).toBe(false);
  });

  it.each([
    [{ process: { args: [] } }, 'process.args must not be empty'],
    [{ process: { args: [1] } }, 'process.args holds something other than strings'],
    [{ process: { args: ['a'], cwd: 'x' } }, 'process.cwd "x" is not an absolute path'],
    [{ process: { args: ['a\0b'] } }, 'NUL'],
    [{ process: { args: ['a'], user: { uid: 4294967295 } } }, 'process.user.uid'],
    [{ process: { args: ['a'], rlimits: [{ type: '--evil', soft: 1, hard: 1 }] } }, 'process.rlimits'],
    [{ process: { args: ['a'], oomScoreAdj: 5000 } }, 'process.oomScoreAdj'],
  ])('refuses %j', (changes, message) => {
    expect(() => parse(changes)).toThrow(message);
  });

  it('refuses what is not JSON or no object', () => {
    expect(() => parseSpec('{')).toThrow('config.json is not JSON');
    expect(() => parseSpec('[]')).toThrow('config.json is not a JSON object');
    expect(() => parseExecSpec('7', { ignoreIsolation: true })).toThrow('not a JSON object');
  });
});

describe('parseExecSpec', () => {
  it('refuses capabilities unless isolation is ignored', () => {
    const text = JSON.stringify({ args: ['a'], capabilities: { bounding: ['CAP_KILL'] } });
    expect(() => parseExecSpec(text, { ignoreIsolation: false })).toThrow('process.capabilities');
    expect(parseExecSpec(text, { ignoreIsolation: true }).args).toEqual(['a']);
  });
});
