// Runs N jobs as processes of this host, at most C at once, and prints how each ended.
//   node examples/job-runner.mjs [N] [C]
import { Supervisor } from 'shimd';

const [count = 10, concurrency = 4] = process.argv.slice(2).map(Number);
const supervisor = await Supervisor.open();
const jobs = Array.from({ length: count }, (_, index) => `job-${index + 1}`);
const tally = new Map();

async function run(id) {
  // Some work, and every third job fails.
  const status = Number(id.slice(4)) % 3 === 0 ? 3 : 0;
  await supervisor.create({ id, args: ['/bin/sh', '-c', `sleep 0.1; exit ${status}`] });
  await supervisor.start(id);
  const exit = await supervisor.wait(id);
  await supervisor.delete(id);
  return exit.status;
}

async function work() {
  for (let id = jobs.shift(); id !== undefined; id = jobs.shift()) {
    const status = await run(id);
    tally.set(status, (tally.get(status) ?? 0) + 1);
    console.log(`${id} exited with ${status}`);
  }
}

try {
  await Promise.all(Array.from({ length: concurrency }, work));
  for (const [status, jobs] of tally) console.log(`${jobs} of ${count} exited with ${status}`);
} finally {
  await supervisor.close();
}
