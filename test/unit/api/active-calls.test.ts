import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { ActiveCalls } from '../../../src/api/active-calls.ts';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

test('a call that lasts keeps nothing of the steps that are behind it', async () => {
  const call = new ActiveCalls().enter(true);
  const seen: WeakRef<object>[] = [];
  for (let step = 0; step < 100; step += 1) {
    seen.push(new WeakRef(await call.whileActive(Promise.resolve({ step }))));
  }
  await turn();
  collect();
  expect(seen.filter((one) => one.deref() !== undefined).length).toBeLessThan(5);
});

test('a step under way ends with the call, and so does every later one', async () => {
  const call = new ActiveCalls().enter(true);
  const waiting = call.whileActive(new Promise(() => undefined));
  call.cancel();
  await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(call.signal.aborted).toBe(true);
  await expect(call.whileActive(Promise.resolve(1))).rejects.toMatchObject({ code: 'CANCELLED' });
});

test('the failure of a step is thrown, and one after the end of the call is nobody’s concern', async () => {
  const call = new ActiveCalls().enter(true);
  await expect(call.whileActive(Promise.reject(new Error('no')))).rejects.toThrow('no');
  let fail: (reason: Error) => void = () => undefined;
  const late = call.whileActive(
    new Promise((_, reject) => {
      fail = reject;
    }),
  );
  call.cancel();
  await expect(late).rejects.toMatchObject({ code: 'CANCELLED' });
  fail(new Error('late'));
  await turn();
});
