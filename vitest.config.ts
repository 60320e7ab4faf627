import { defineConfig } from 'vitest/config';

/**
 * `unit` runs on the sources. `integration`, `conformance`, `guarantees` and `clients` start the build (worker threads cannot
 * load .ts): `npm test` makes it and fetches the real runtimes first. Groups run one after the other; most of their time
 * is waiting for other processes, so there are more of them than processors.
 */
export default defineConfig({
  test: {
    // Worker threads of the runner would share one process.env and one koffi; processes also die cleanly on a crash.
    pool: 'forks',
    projects: [
      {
        test: {
          name: 'unit',
          maxWorkers: 2,
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 20_000,
          hookTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'integration',
          maxWorkers: 3,
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/helpers/leak-check.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'conformance',
          maxWorkers: 3,
          include: ['test/conformance/**/*.test.ts'],
          globalSetup: ['test/helpers/leak-check.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'guarantees',
          maxWorkers: 3,
          include: ['test/guarantees/**/*.test.ts'],
          globalSetup: ['test/helpers/leak-check.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          name: 'clients',
          maxWorkers: 2,
          include: ['test/clients/**/*.test.ts'],
          globalSetup: ['test/helpers/leak-check.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
