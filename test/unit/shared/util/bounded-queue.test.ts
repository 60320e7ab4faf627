import { expect, test } from 'vitest';
import { BoundedQueue } from '../../../../src/shared/util/bounded-queue.ts';

const done = { done: true, value: undefined };
const item = <T>(value: T) => ({ done: false, value });

test('items come out in the order they went in, also to readers that were there first', async () => {
  const queue = new BoundedQueue<number>(10);
  const early = [queue.next(), queue.next()];
  for (const number of [1, 2, 3]) expect(queue.push(number)).toBe(true);
  expect(await Promise.all([...early, queue.next()])).toEqual([item(1), item(2), item(3)]);
});

test('a full queue takes nothing until something is read', async () => {
  const queue = new BoundedQueue<number>(3);
  expect([queue.push(1, 2), queue.push(2, 2), queue.push(3, 1)]).toEqual([true, false, true]);
  expect(await queue.next()).toEqual(item(1));
  expect(queue.push(4, 2)).toBe(true);
});

test('an empty queue takes one item of any size', () => {
  const queue = new BoundedQueue<number>(3);
  expect([queue.push(1, 100), queue.push(2)]).toEqual([true, false]);
});

test('thousands of items pass through one queue while it is read', async () => {
  const queue = new BoundedQueue<number>(5000);
  let next = 0;
  for (let round = 0; round < 20; round += 1) {
    for (let pushed = 0; pushed < 1500; pushed += 1) queue.push(round * 1500 + pushed);
    for (let read = 0; read < 1500; read += 1) {
      expect((await queue.next()).value).toBe(next);
      next += 1;
    }
  }
});

test('the first end wins and is told once, after the items', async () => {
  let ends = 0;
  const queue = new BoundedQueue<number>(3, () => (ends += 1));
  queue.push(1);
  queue.end(new Error('first'));
  queue.end(new Error('second'));
  expect(queue.push(2)).toBe(false);
  expect(await queue.next()).toEqual(item(1));
  await expect(queue.next()).rejects.toThrow('first');
  expect(await queue.next()).toEqual(done);
  expect(ends).toBe(1);
});

test('cutting drops what is unread', async () => {
  const queue = new BoundedQueue<number>(3);
  queue.push(1);
  queue.cut(new Error('now'));
  await expect(queue.next()).rejects.toThrow('now');
});

test('leaving the loop ends the queue and every reader', async () => {
  let ends = 0;
  const queue = new BoundedQueue<number>(3, () => (ends += 1));
  queue.push(1);
  queue.push(2);
  for await (const number of queue) {
    expect(number).toBe(1);
    break;
  }
  expect([ends, queue.push(3)]).toEqual([1, false]);
  expect(await queue.next()).toEqual(done);
});
