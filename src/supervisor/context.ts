import type { Directories } from '../shared/layout.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { Deadlines } from '../shared/messages/index.ts';
import type { ExitStore } from '../store/exit-store.ts';
import type { SandboxExitStore } from '../store/sandbox-exit-store.ts';
import type { Background } from './background.ts';
import type { ExitKeeper } from './exit-keeper.ts';
import type { ExitRouter } from './exit-router.ts';
import type { Placement } from './placement.ts';
import type { Registry } from './registry.ts';
import type { Retries } from './retries.ts';
import type { SandboxEvents } from './sandboxes/sandbox-events.ts';
import type { Sandboxes } from './sandboxes/sandboxes.ts';
import type { TaskEvents } from './task-events.ts';
import type { Watchdog } from './watchdog.ts';

/** What the supervisor's parts share. */
export interface Context {
  readonly directories: Directories;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly sandboxes: Sandboxes;
  readonly sandboxEvents: SandboxEvents;
  readonly sandboxExits: SandboxExitStore;
  /** Exits that a full disk refused. */
  readonly retries: Retries;
  readonly exits: ExitStore;
  readonly keeper: ExitKeeper;
  readonly events: TaskEvents;
  readonly router: ExitRouter;
  readonly placement: Placement;
  readonly background: Background;
  readonly watchdog: Watchdog;
}
