#!/usr/bin/env node
// The `shimd` binary: picks the daemon or a command of the client, and loads nothing of the other.

const args = process.argv.slice(2);

async function main(): Promise<number> {
  const helpOfServe = args[0] === 'help' && args[1] === 'serve';
  if (args[0] === 'serve' || helpOfServe) {
    const { runServe } = await import('./daemon/serve-command.ts');
    return runServe(helpOfServe ? ['--help'] : args.slice(1));
  }
  if (args.includes('publish')) {
    const { isPublishCall, runPublish } = await import('./daemon/publish.ts');
    if (isPublishCall(args)) return runPublish(args);
  }
  const { runCli } = await import('./cli/program.ts');
  return runCli(args);
}

process.exit(await main());
