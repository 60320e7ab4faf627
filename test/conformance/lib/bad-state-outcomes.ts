/** What calls come to in the states that a task can be in, by the names that `callsOf` gives them. */
export type Outcomes = Readonly<Record<string, string>>;

const noSuchExec = 'NOT_FOUND process does not exist nope: not found';
export const ok = 'OK';

/** Refused before it is asked what there is. */
const refusedAnyway: Outcomes = {
  'kill with signal 0': 'INVALID_ARGUMENT invalid signal 0: give a number from 1 to 64: invalid argument',
  'kill with signal 200': 'INVALID_ARGUMENT invalid signal 200: give a number from 1 to 64: invalid argument',
  'kill with signal 4294967295':
    'INVALID_ARGUMENT invalid signal 4294967295: give a number from 1 to 64: invalid argument',
  'resize to 65536 columns':
    'INVALID_ARGUMENT invalid terminal size 65536x24: give at most 65535 each: invalid argument',
  'resize to 4294967295 rows':
    'INVALID_ARGUMENT invalid terminal size 80x4294967295: give at most 65535 each: invalid argument',
  'update without resources': 'INVALID_ARGUMENT update of task <id> has no resources: invalid argument',
  'checkpoint without a path':
    'UNIMPLEMENTED checkpoint without an image path: shimd keeps no images, give a directory as image path: not implemented',
  'exec without an id': 'INVALID_ARGUMENT exec id cannot be empty',
  'exec with a path as id':
    'INVALID_ARGUMENT identifier "../x" must match ^[A-Za-z0-9]+(?:[_.-][A-Za-z0-9]+)*$: invalid argument',
  'exec without a spec': 'INVALID_ARGUMENT exec e has no spec: invalid argument',
  'delete of an exec without an id': 'INVALID_ARGUMENT exec id cannot be empty',
};

/** A task that is there, in whatever state: what differs is added. */
const ofTask: Outcomes = {
  ...refusedAnyway,
  get: ok,
  create: 'ALREADY_EXISTS task <id>: already exists',
  pids: ok,
  'close of stdin': ok,
  'resize to 80 by 24': ok,
  'start of an unknown exec': noSuchExec,
  'get of an unknown exec': noSuchExec,
  'wait for an unknown exec': noSuchExec,
  'kill of an unknown exec': noSuchExec,
  'resize of an unknown exec': noSuchExec,
  'close of stdin of an unknown exec': noSuchExec,
  'delete of an unknown exec': noSuchExec,
};

/** Every method that a state could be wrong for, but for create where there is no task, and what would change the state. */
export const nothingThere = (message: string): Outcomes => ({
  ...Object.fromEntries(Object.keys(ofTask).map((name) => [name, `NOT_FOUND ${message}`])),
  ...Object.fromEntries(
    ['start', 'pause', 'resume', 'kill', 'kill of all', 'exec', 'update', 'update with bad JSON'].map((name) => [
      name,
      `NOT_FOUND ${message}`,
    ]),
  ),
  checkpoint: `NOT_FOUND ${message}`,
  wait: `NOT_FOUND ${message}`,
  delete: `NOT_FOUND ${message}`,
  ...refusedAnyway,
});

const badJson = 'UNKNOWN unexpected end of JSON input';
const notRunning = 'FAILED_PRECONDITION container <id> init process is not running: failed precondition';

/** Nothing here changes the state, so that all of it can be asked of one task. */
export const states = {
  created: {
    ...ofTask,
    exec: notRunning,
    pause: 'UNKNOWN cannot pause task in created state',
    resume: 'UNKNOWN cannot resume task in created state',
    checkpoint: 'UNKNOWN cannot checkpoint a task in created state',
    update: ok,
    'update with bad JSON': badJson,
  },
  running: {
    ...ofTask,
    start: 'INVALID_ARGUMENT cannot start a running process: <id> runs already: invalid argument',
    resume: 'UNKNOWN cannot resume a running process',
    delete: 'UNKNOWN cannot delete a running process: <id>: kill it first: unknown',
    update: ok,
    'update with bad JSON': badJson,
  },
  paused: {
    ...ofTask,
    start: 'INVALID_ARGUMENT cannot start a running process: <id> runs already: invalid argument',
    exec: 'UNKNOWN cannot exec in a paused state',
    pause: 'UNKNOWN cannot pause a paused container',
    delete: 'UNKNOWN cannot delete a running process: <id>: kill it first: unknown',
    update: ok,
    'update with bad JSON': badJson,
  },
  ended: {
    ...ofTask,
    start: 'INVALID_ARGUMENT cannot start a stopped process: <id> has ended: invalid argument',
    exec: notRunning,
    pause: 'UNKNOWN cannot pause a stopped container',
    resume: 'UNKNOWN cannot resume a stopped container',
    checkpoint: 'UNKNOWN cannot checkpoint a stopped container',
    update: 'UNKNOWN cannot update a stopped container',
    'update with bad JSON': 'UNKNOWN cannot update a stopped container',
    kill: 'NOT_FOUND process already finished: not found',
    'kill of all': 'NOT_FOUND process already finished: not found',
    wait: ok,
  },
} satisfies Record<string, Outcomes>;
