import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Environment } from '../../../src/store/environment.ts';
import { type Migration, metaTable, migrate } from '../../../src/store/schema.ts';
import { temporaryDirectory } from './fixture.ts';

async function openEnvironment(): Promise<Environment> {
  const file = path.join(await temporaryDirectory(), 'test.mdb');
  const environment = await Environment.open(file, { tables: [metaTable, 'things'], durability: 'disk' });
  onTestFinished(() => environment.close());
  return environment;
}

const key = Buffer.from('a');

function steps(count: number, log: number[]): Migration[] {
  return Array.from({ length: count }, (_, i) => ({
    to: i + 1,
    name: `step ${i + 1}`,
    run: (environment) => {
      log.push(i + 1);
      environment.table('things').putSync(key, Buffer.from(String(i + 1)));
    },
  }));
}

describe('migrate', () => {
  test('runs each migration once, in order', async () => {
    const environment = await openEnvironment();
    const log: number[] = [];
    migrate(environment, steps(2, log));
    migrate(environment, steps(2, log));
    migrate(environment, steps(4, log));
    expect(log).toEqual([1, 2, 3, 4]);
  });

  test('undoes a migration that fails and tries it again', async () => {
    const environment = await openEnvironment();
    const [first] = steps(1, []);
    const broken: Migration = {
      to: 2,
      name: 'broken',
      run: () => {
        environment.table('things').putSync(key, Buffer.from('half'));
        throw new Error('out of luck');
      },
    };
    const list = first === undefined ? [] : [first, broken];
    expect(() => migrate(environment, list)).toThrow(/out of luck/);
    expect(environment.table('things').get(key)?.toString()).toBe('1');
    const log: number[] = [];
    migrate(environment, steps(2, log));
    expect(log).toEqual([2]);
  });

  test('refuses a database of a newer version and leaves it alone', async () => {
    const environment = await openEnvironment();
    migrate(environment, steps(3, []));
    const log: number[] = [];
    expect(() => migrate(environment, steps(2, log))).toThrow(
      expect.objectContaining({
        code: 'FAILED_PRECONDITION',
        message: expect.stringMatching(/schema version 3, this shimd knows up to 2: start the newer shimd/),
      }),
    );
    expect(log).toEqual([]);
  });
});
