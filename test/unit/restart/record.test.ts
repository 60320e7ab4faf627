import { expect, test } from 'vitest';
import { decodeRecord, encodeRecord, type RestartRecord } from '../../../src/restart/record.ts';
import { Turns } from '../../../src/restart/turns.ts';
import { deferred } from '../../../src/shared/util/deferred.ts';

test('a record says after reading what was written', () => {
  const record: RestartRecord = {
    launch: {
      runtime: 'io.containerd.runc.v2',
      rootfs: [{ type: 'overlay', source: 'overlay', target: '', options: ['lowerdir=/a', 'ro'] }],
      options: { typeUrl: 'containerd.runc.v1.Options', value: Buffer.from([1, 255, 0]) },
      stdout: 'file:///a',
      stderr: '',
      terminal: true,
    },
    attempt: { at: 1, row: 2, replaces: 3, open: true },
    error: 'why',
  };
  expect(decodeRecord(encodeRecord(record))).toEqual(record);
  expect(decodeRecord(encodeRecord({}))).toEqual({});
});

test.each([
  '',
  '[]',
  'null',
  '{"attempt":7,"launch":"x"}',
  '{"attempt":{"at":-1},"error":5}',
  '{"launch":{"rootfs":[1]}}',
])('an extension that a client wrote, %j, breaks nothing', (text) => {
  const { attempt, error } = decodeRecord({ typeUrl: 'io.shimd.restart/1', value: Buffer.from(text) });
  expect({ attempt, error }).toEqual({});
  expect(decodeRecord({ typeUrl: 'other', value: Buffer.from('{"error":"x"}') })).toEqual({});
});

test('turns are taken by so many at once, in order, and given up with their signal', async () => {
  const turns = new Turns(1);
  const { signal } = new AbortController();
  const first = deferred<void>();
  const order: string[] = [];
  const running = turns.take(signal, () => first.promise);
  const closing = new AbortController();
  const given = turns.take(closing.signal, async () => order.push('given up'));
  const second = turns.take(signal, async () => order.push('second'));
  const failing = turns.take(signal, () => Promise.reject(new Error('broken')));
  const third = turns.take(signal, async () => order.push('third'));
  closing.abort();
  await expect(given).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(order).toEqual([]);
  first.resolve();
  await expect(failing).rejects.toThrow('broken');
  await Promise.all([running, second, third]);
  expect(order).toEqual(['second', 'third']);
});
