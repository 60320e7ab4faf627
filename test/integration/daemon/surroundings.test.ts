import { spawn, spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Daemon } from '../../helpers/daemon.ts';
import { DatagramReceiver } from '../../helpers/datagram-receiver.ts';
import { buildDirectory, mainProgram, Program, runProgram } from '../../helpers/program.ts';
import { makeDirectory } from '../../helpers/test-run.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const asRoot = process.getuid?.() === 0;

describe('the service manager', () => {
  test('hears of readiness and the stop, and its variables reach nobody else', async () => {
    const address = path.join(makeDirectory(), 'notify');
    using receiver = new DatagramReceiver(address);
    await using daemon = await Daemon.start({ env: { NOTIFY_SOCKET: address, WATCHDOG_USEC: '100000' } });
    const received: string[] = [];
    const hear = () => {
      const text = receiver.receive();
      if (text !== undefined) received.push(text);
      return received;
    };
    await waitFor(() => hear().includes('WATCHDOG=1'));
    expect(received[0]).toContain('READY=1');
    expect(received[0]).toContain(`MAINPID=${daemon.pid}`);
    await daemon.stop();
    await waitFor(() => hear().includes('STOPPING=1'));
  });
});

describe('a crash', () => {
  test.each([
    ['an exception', "setImmediate(() => { throw new Error('the memory is in doubt'); })"],
    ['a rejection', "void Promise.reject(new Error('the memory is in doubt'))"],
  ])('by %s that nobody caught is logged, and ends the process with code 1', async (_, program) => {
    const module = pathToFileURL(path.join(buildDirectory, 'src/daemon/lifecycle/crash.js')).href;
    const script = `const { exitOnCrash } = await import('${module}'); exitOnCrash(); ${program}; setInterval(() => {}, 1000);`;
    const { code, stderr } = await runProgram(process.execPath, ['--input-type=module', '-e', script]);
    expect(code).toBe(1);
    const line: unknown = JSON.parse(stderr);
    expect(line).toMatchObject({ level: 'error', message: 'daemon crashed' });
    expect(line).toHaveProperty('error', expect.stringContaining('the memory is in doubt'));
  });
});

describe('a second stop signal', () => {
  test('ends a stop that hangs', async () => {
    const module = pathToFileURL(path.join(buildDirectory, 'src/daemon/lifecycle/stop-signals.js')).href;
    const script = `const { listenForStop } = await import('${module}');
      const signals = listenForStop(() => process.exit(1));
      console.log('listening');
      setInterval(() => {}, 1000);
      console.log(await signals.first);`;
    const program = new Program(process.execPath, ['--input-type=module', '-e', script]);
    await waitFor(() => program.stdout.includes('listening'));
    program.child.kill('SIGTERM');
    await waitFor(() => program.stdout.includes('SIGTERM'));
    program.child.kill('SIGTERM');
    expect((await program.finished).code).toBe(1);
  });
});

describe.runIf(asRoot)('another user', () => {
  const uid = 65_534;

  function ownDirectory(): string {
    const directory = makeDirectory();
    chownSync(directory, uid, uid);
    // The run's own directory lets nobody else through.
    spawnSync('chmod', ['711', path.dirname(directory)]);
    return directory;
  }

  test('gets the directories of the XDG specification', async () => {
    const home = ownDirectory();
    const runtime = path.join(home, 'run');
    mkdirSync(runtime, { mode: 0o700 });
    chownSync(runtime, uid, uid);
    const child = spawn(process.execPath, [mainProgram, 'serve', '--workers', '1'], {
      uid,
      gid: uid,
      cwd: '/',
      env: { PATH: process.env['PATH'], HOME: home, XDG_RUNTIME_DIR: runtime },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)));
    await waitFor(() => output.includes('shimd ready: ') || child.exitCode !== null, { budget: 20_000 });
    expect(output).toContain(`shimd ready: unix://${runtime}/shimd/shimd.sock`);
    expect(statSync(path.join(home, '.local/state/shimd/.metadata')).uid).toBe(uid);
    child.kill('SIGTERM');
    await waitFor(() => child.exitCode !== null);
    expect(child.exitCode).toBe(0);
  });

  test('is refused a directory that is not its own, in one line', async () => {
    const directory = makeDirectory();
    const { status, stderr } = spawnSync(
      process.execPath,
      [mainProgram, 'serve', '--root', path.join(directory, 'root'), '--state', path.join(directory, 'state')],
      { uid, gid: uid, cwd: '/', env: { PATH: process.env['PATH'], HOME: '/' }, encoding: 'utf8' },
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/^shimd: cannot use root directory .*: permission denied .*\n$/);
  });
});

describe.runIf(asRoot)('a group for the socket', () => {
  test('can reach it, and nothing else of the state', async () => {
    await using daemon = await Daemon.start({ config: 'socket_group = 65534\n' });
    const socket = statSync(daemon.socket);
    expect([socket.gid, socket.mode & 0o777]).toEqual([65_534, 0o660]);
    const state = statSync(daemon.state);
    expect(state.mode & 0o777).toBe(0o711);
    expect(statSync(path.join(daemon.state, 'events.sock')).mode & 0o777).toBe(0o600);
  });
});

describe.runIf(asRoot)('a full state directory', () => {
  test('does not keep the daemon from serving, and fails a create with its reason', async () => {
    const directory = makeDirectory();
    const state = path.join(directory, 'state');
    mkdirSync(state);
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', state]).status).toBe(0);
    onTestFinished(() => void spawnSync('umount', ['-l', state]));
    try {
      writeFileSync(path.join(state, '.filler'), Buffer.alloc(1 << 17));
    } catch {
      // Full now.
    }
    const serve = ['serve', '--root', path.join(directory, 'root'), '--state', state, '--workers', '1'];
    const program = new Program(process.execPath, [mainProgram, ...serve]);
    onTestFinished(() => void program.child.kill('SIGKILL'));
    await waitFor(() => program.stdout.includes('shimd ready: ') || program.child.exitCode !== null, {
      budget: 20_000,
    });
    const socket = path.join(state, 'shimd.sock');
    const run = ['--address', socket, 'run', '--rm', '--runtime', 'io.shimd.process.v1'];
    const { code, stderr } = await runProgram(process.execPath, [mainProgram, ...run, '--', '/bin/true']);
    expect(code).toBe(125);
    expect(stderr).toMatch(/no space left|ENOSPC/i);
    program.child.kill('SIGTERM');
    expect((await program.finished).code).toBe(0);
    expect(readFileSync(path.join(state, '.lock'), 'utf8')).toMatch(/^(\d+\n)?$/);
  });
});
