/** Of every event. */
export interface EventBase {
  /** Its place in the order of events: `events({ since: cursor })` goes on after it. Grows, also from run to run. */
  readonly cursor: number;
  readonly time: Date;
  /** containerd's name of it, such as `/tasks/exit`. */
  readonly topic: string;
}

/** What happened to a task. Of one process, in this order: create, start, exit, delete; each once. */
export type TaskEvent = EventBase &
  (
    | { readonly type: 'create'; readonly task: string; readonly pid: number }
    | { readonly type: 'start'; readonly task: string; readonly pid: number }
    | {
        readonly type: 'exit';
        readonly task: string;
        /** Absent for the task's own process. */
        readonly exec?: string;
        readonly pid: number;
        readonly status: number;
        readonly exitedAt: Date;
      }
    | {
        readonly type: 'delete';
        readonly task: string;
        readonly pid: number;
        readonly status: number;
        readonly exitedAt: Date;
      }
    | { readonly type: 'exec-added'; readonly task: string; readonly exec: string }
    | { readonly type: 'exec-started'; readonly task: string; readonly exec: string; readonly pid: number }
    /** The kernel killed in the task for want of memory; comes before the exit. */
    | { readonly type: 'oom'; readonly task: string }
    | { readonly type: 'paused'; readonly task: string }
    | { readonly type: 'resumed'; readonly task: string }
    | { readonly type: 'checkpointed'; readonly task: string }
    /** What a shim tells besides: an encoded protobuf message, left empty where it has over 4 KiB. */
    | { readonly type: 'other'; readonly typeUrl: string; readonly value: Uint8Array }
  );
