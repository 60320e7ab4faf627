export type {
  CallOptions,
  CreateOptions,
  DeleteOptions,
  EventsOptions,
  ExecOptions,
  KillOptions,
  Limits,
  LogLine,
  Mount,
  OpenOptions,
  Output,
  PlacementOptions,
  ProcessIo,
  ProcessOptions,
  User,
} from './library/options.ts';
export { Supervisor } from './library/supervisor.ts';
export type { CreatedTask, Exit, ProcessInfo, RunningExec, Streams, TaskStatus } from './library/task.ts';
export type { EventBase, TaskEvent } from './library/task-event.ts';
export type { ErrorCode } from './shared/errors/codes.ts';
export { TaskError } from './shared/errors/task-error.ts';
