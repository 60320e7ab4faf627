import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ServiceManager } from '../../../src/daemon/lifecycle/service-manager.ts';
import { createLogger, silentLogger } from '../../../src/shared/log/logger.ts';
import { DatagramReceiver } from '../../helpers/datagram-receiver.ts';

function receiver(): { address: string; received: string[]; drain: () => void } {
  const directory = mkdtempSync(path.join(tmpdir(), 'shimd-notify-'));
  const address = path.join(directory, 'notify');
  const socket = new DatagramReceiver(address);
  onTestFinished(() => {
    socket[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  });
  const received: string[] = [];
  const drain = () => {
    for (let text = socket.receive(); text !== undefined; text = socket.receive()) received.push(text);
  };
  return { address, received, drain };
}

test('the service manager hears of readiness, a beating heart and the stop', async () => {
  const { address, received, drain } = receiver();
  const environment = { NOTIFY_SOCKET: address, WATCHDOG_USEC: '40000', WATCHDOG_PID: String(process.pid), HOME: '/' };
  const manager = ServiceManager.fromEnvironment(environment, silentLogger);
  onTestFinished(() => manager.close());
  expect(environment).toEqual({ HOME: '/' });
  manager.ready('serving');
  await vi.waitFor(() => {
    drain();
    expect(received.filter((text) => text === 'WATCHDOG=1').length).toBeGreaterThan(1);
  });
  manager.stopping();
  drain();
  expect(received[0]).toBe(`READY=1\nMAINPID=${process.pid}\nSTATUS=serving`);
  expect(received.at(-1)).toBe('STOPPING=1');
});

test('a watchdog that is another process gets no beats', async () => {
  const { address, received, drain } = receiver();
  const environment = { NOTIFY_SOCKET: address, WATCHDOG_USEC: '2000', WATCHDOG_PID: '1' };
  const manager = ServiceManager.fromEnvironment(environment, silentLogger);
  onTestFinished(() => manager.close());
  manager.ready('serving');
  await new Promise((resolve) => setTimeout(resolve, 20));
  drain();
  expect(received).toHaveLength(1);
});

test('a service manager that is gone is a warning, and without one nothing happens', () => {
  const lines: string[] = [];
  const logger = createLogger((level, event) => lines.push(`${level}: ${event}`));
  ServiceManager.fromEnvironment({}, logger).ready('serving');
  expect(lines).toEqual([]);
  ServiceManager.fromEnvironment({ NOTIFY_SOCKET: '/none/notify' }, logger).stopping();
  expect(lines).toEqual(['warn: service manager not notified']);
});
