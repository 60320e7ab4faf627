import type { Command } from '../command.ts';

/** A command as the list of commands shows it; the rest is loaded when it is asked for. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<Command>;
}

export const commands: readonly CommandEntry[] = [
  {
    name: 'run',
    summary: 'run a command in a new container',
    load: async () => (await import('./run.ts')).run,
  },
  {
    name: 'exec',
    summary: 'run a command in a running container',
    load: async () => (await import('./exec.ts')).exec,
  },
  {
    name: 'ps',
    summary: 'list containers and their tasks',
    load: async () => (await import('./ps.ts')).ps,
  },
  {
    name: 'wait',
    summary: 'wait until tasks have ended, and print their statuses',
    load: async () => (await import('./wait.ts')).wait,
  },
  {
    name: 'stop',
    summary: 'end tasks, and keep services ended',
    load: async () => (await import('./stop.ts')).stop,
  },
  {
    name: 'start',
    summary: 'run containers that have ended again',
    load: async () => (await import('./start.ts')).start,
  },
  {
    name: 'kill',
    summary: 'send a signal to tasks',
    load: async () => (await import('./kill.ts')).kill,
  },
  {
    name: 'rm',
    summary: 'remove containers with their tasks',
    load: async () => (await import('./rm.ts')).rm,
  },
  {
    name: 'pause',
    summary: 'freeze tasks',
    load: async () => (await import('./pause.ts')).pause,
  },
  {
    name: 'resume',
    summary: 'let frozen tasks go on',
    load: async () => (await import('./pause.ts')).resume,
  },
  {
    name: 'checkpoint',
    summary: 'write the state of a running task to a directory',
    load: async () => (await import('./checkpoint.ts')).checkpoint,
  },
  {
    name: 'restore',
    summary: 'let a task go on from a checkpoint',
    load: async () => (await import('./restore.ts')).restore,
  },
  {
    name: 'inspect',
    summary: 'show everything that is known of containers',
    load: async () => (await import('./inspect.ts')).inspect,
  },
  {
    name: 'events',
    summary: 'follow what happens',
    load: async () => (await import('./events.ts')).events,
  },
  {
    name: 'sandbox',
    summary: 'run sandboxes: groups of tasks that share a shim and its end',
    load: async () => (await import('./sandbox.ts')).sandbox,
  },
  {
    name: 'shims',
    summary: 'list the shims that the daemon owns',
    load: async () => (await import('./shims.ts')).shims,
  },
  {
    name: 'logs',
    summary: 'show what a shim says of itself: not the output of a task',
    load: async () => (await import('./logs.ts')).logs,
  },
  {
    name: 'slots',
    summary: "list the daemon's worker threads, or restart one",
    load: async () => (await import('./slots.ts')).slots,
  },
  {
    name: 'load',
    summary: 'put load on the daemon, and check every exit',
    load: async () => (await import('./load.ts')).load,
  },
  {
    name: 'info',
    summary: 'show how the daemon is',
    load: async () => (await import('./info.ts')).info,
  },
  {
    name: 'version',
    summary: 'show the versions of client and daemon',
    load: async () => (await import('./version.ts')).version,
  },
];
