#!/usr/bin/env node
import { binaryName } from './about.ts';
import { helpText, parseCommandLine, versionText } from './command-line.ts';

// Each action loads only what it needs: `start` runs once for every shim, and somebody waits for it.
async function run(args: readonly string[]): Promise<void> {
  const commandLine = parseCommandLine(args);
  switch (commandLine.action) {
    case 'start':
      return print(await (await import('./start.ts')).start(commandLine));
    case 'serve':
      return (await import('./serve.ts')).serve(commandLine);
    case 'delete':
      return print(await (await import('./delete-action.ts')).deleteAction(commandLine));
    case 'info':
      return print((await import('./info.ts')).runtimeInfo());
    case 'version':
      return print(Buffer.from(versionText()));
    case 'help':
      return print(Buffer.from(helpText()));
  }
}

function print(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

try {
  await run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${binaryName}: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
