import path from 'node:path';
import { expect, it } from 'vitest';
import { runProgram } from '../../helpers/program.ts';
import { repository } from '../../helpers/runtimes.ts';

const build = path.resolve(repository, process.env['SHIMD_BUILD'] ?? 'dist');
const program = path.join(repository, 'test/fixtures/pool/stop-while-loading.mjs');

// A thread that Node ends from outside at that moment takes its whole process with it.
it('threads that are stopped while they load a native addon do no harm to the process', async () => {
  expect(await runProgram(process.execPath, [program, build])).toEqual({ code: 0, stdout: 'survived\n', stderr: '' });
});
