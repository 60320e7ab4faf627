import { versionDefinition } from '../../shared/grpc/index.ts';
import { clientVersion } from '../client-version.ts';
import { defineCommand } from '../command.ts';
import { jsonLine } from '../context.ts';
import { exitStatus } from '../exit-status.ts';
import { oneLine } from '../failure.ts';

const versionTimeout = 5000;

export const version = defineCommand({
  description: "Shows the client's version and the daemon's. Fails where the daemon does not answer.",
  arguments: [],
  options: {},
  examples: [['shimd version', 'tells at once whether the daemon runs']],
  json: true,

  async run(context) {
    const client = { version: await clientVersion(), node: process.version };
    const daemon = await context.daemon();
    try {
      const answer = await daemon.call(versionDefinition.version, context.namespace, {}, { timeout: versionTimeout });
      const server = { version: answer.version, revision: answer.revision || undefined, address: daemon.address };
      const revision = server.revision === undefined ? '' : `, revision ${server.revision}`;
      context.print(
        context.json
          ? jsonLine({ client, server })
          : `client  ${client.version} (Node.js ${client.node})\ndaemon  ${server.version}${revision} (${server.address})\n`,
      );
      return exitStatus.ok;
    } catch (error) {
      context.print(context.json ? jsonLine({ client }) : `client  ${client.version} (Node.js ${client.node})\n`);
      context.warn(oneLine(error));
      return exitStatus.failed;
    }
  },
});
