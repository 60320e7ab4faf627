import { Background } from './background.ts';
import type { Context } from './context.ts';
import { ExitKeeper } from './exit-keeper.ts';
import { ExitRouter } from './exit-router.ts';
import type { SupervisorOptions } from './options.ts';
import { Placement } from './placement.ts';
import { Registry } from './registry.ts';
import { Retries } from './retries.ts';
import { SandboxEvents } from './sandboxes/sandbox-events.ts';
import { Sandboxes } from './sandboxes/sandboxes.ts';
import { TaskEvents } from './task-events.ts';
import type { TaskSlot } from './task-slot.ts';
import { Watchdog } from './watchdog.ts';

/** Puts the supervisor's parts together; `slots` answers none before there are any. `closeContext` ends them. */
export function composeContext(options: SupervisorOptions, slots: () => readonly TaskSlot[]): Context {
  const { directories, deadlines, logger, exits, sandboxExits, exchange } = options;
  const registry = new Registry();
  const sandboxes = new Sandboxes();
  const retries = new Retries();
  const keeper = new ExitKeeper(exits, retries, logger);
  const events = new TaskEvents(exchange, logger, (process, owed) => keeper.setOwed(process, owed));
  const placement = new Placement({
    config: options.placement,
    slots,
    registry,
    sandboxes,
    directories,
    deadlines,
    logger,
  });
  return {
    directories,
    deadlines,
    logger,
    registry,
    exits,
    keeper,
    events,
    router: new ExitRouter({ registry, exits: keeper, events, logger }),
    placement,
    background: new Background(logger),
    sandboxes,
    sandboxEvents: new SandboxEvents(exchange, logger),
    sandboxExits,
    retries,
    watchdog: new Watchdog(logger),
  };
}

/** Ends the parts, after `rest` has ended what works on them. */
export async function closeContext(context: Context, rest: () => Promise<void>): Promise<void> {
  const { background, placement, router, retries, events, sandboxEvents, watchdog } = context;
  const ended = Promise.all([background.close(), placement.shared.close()]);
  await rest();
  await ended;
  router.close();
  retries.close();
  events.close();
  sandboxEvents.close();
  watchdog.close();
}
