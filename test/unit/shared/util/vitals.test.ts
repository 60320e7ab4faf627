import { expect, test } from 'vitest';
import { type Vitals, VitalsMonitor } from '../../../../src/shared/util/vitals.ts';

test('a thread that was blocked tells how late it was, in that window and ever since', async () => {
  const windows: Vitals[] = [];
  let next: () => void = () => undefined;
  const window = () =>
    new Promise<void>((resolve) => {
      next = resolve;
    });
  using monitor = new VitalsMonitor({
    window: 200,
    onWindow: (vitals) => {
      windows.push(vitals);
      next();
    },
  });
  await window();
  // Blocked: the loop cannot turn.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700);
  // The window's own timer may come before the look that was late: then it is in the next one.
  while (Math.max(...windows.map(({ delayMax }) => delayMax)) < 400) await window();
  await window();
  await window();
  expect(monitor.last.delayMax).toBeLessThan(monitor.last.delayMaxEver);
  expect(monitor.last.delayMaxEver).toBeGreaterThan(400);
  expect(monitor.last.heap).toBeGreaterThan(1_000_000);
});
