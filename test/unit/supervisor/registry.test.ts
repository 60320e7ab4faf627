import { describe, expect, it } from 'vitest';
import { Registry } from '../../../src/supervisor/registry.ts';
import { addExec, addTask, execOf, refOf } from './fixture.ts';

describe('the registry', () => {
  it('gives an id to one create at a time', () => {
    const registry = new Registry();
    const reservation = registry.reserve(refOf('a'));
    expect(() => registry.reserve(refOf('a'))).toThrow(
      expect.objectContaining({ code: 'ALREADY_EXISTS', message: 'task a: already exists' }),
    );
    expect(() => registry.task(refOf('a'))).toThrow('task a not found');
    reservation.release();
    addTask(registry, 'a');
    reservation.release();
    expect(registry.task(refOf('a')).ref.task).toBe('a');
    expect(() => registry.reserve(refOf('a'))).toThrow('already exists');
  });

  it('shows no exec that is being added', () => {
    const registry = new Registry();
    const exec = addExec(addTask(registry, 'a'), 'x', 0);
    exec.set({ kind: 'adding' });
    expect(() => registry.process(execOf('a', 'x'))).toThrow('process does not exist x: not found');
    exec.set({ kind: 'created', pid: 0 });
    expect(registry.process(execOf('a', 'x')).process).toBe(exec);
  });

  it('lists by namespace and removes only the task that is meant', () => {
    const registry = new Registry();
    const first = addTask(registry, 'a');
    registry.remove(first);
    const second = addTask(registry, 'a');
    registry.remove(first);
    expect([...registry.tasks(first.ref.namespace)]).toEqual([second]);
  });
});
