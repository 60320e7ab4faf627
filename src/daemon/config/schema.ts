import path from 'node:path';
import { z } from 'zod';
import { logLevels } from '../../shared/log/logger.ts';
import { parseDuration } from './duration.ts';

const directory = z.string().refine((value) => path.isAbsolute(value), 'must be an absolute path');

const duration = z.string().transform((text, context) => {
  const milliseconds = parseDuration(text);
  if (milliseconds !== undefined) return milliseconds;
  context.issues.push({ code: 'custom', input: text, message: 'must be a duration such as "500ms", "5s" or "1m"' });
  return z.NEVER;
});

/** More would stall a shim: it queues 128 events while nobody takes them. */
const mostTasksPerShim = 100;

const placementMode = z.enum(['auto', 'shared', 'per-task']);

/** The configuration file; docs/operations.md has the same for people. */
export const configSchema = z.strictObject({
  root: directory.optional(),
  state: directory.optional(),
  address: z.string().optional(),
  socket_group: z.union([z.string().min(1), z.int().min(0)], 'must be the name or the number of a group').optional(),
  log_level: z.enum(logLevels).optional(),
  log_format: z.enum(['json', 'text', 'auto']).optional(),
  workers: z.int().min(1).max(64).optional(),
  placement: z
    .strictObject({
      mode: placementMode.optional(),
      runtimes: z.record(z.string().min(1), placementMode).optional(),
      tasks_per_shim: z.int().min(1).max(mostTasksPerShim).optional(),
      tasks_per_shim_life: z.int().min(1).optional(),
      idle_grace: duration.optional(),
    })
    .optional(),
  shim: z
    .strictObject({
      debug: z.boolean().optional(),
      heartbeat: duration.optional(),
      lost_exit_after: duration.optional(),
      socket_directory: directory.optional(),
      environment: z
        .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable'), z.string())
        .optional(),
    })
    .optional(),
  restart: z
    .strictObject({
      interval: duration.optional(),
      first_pause: duration.optional(),
      longest_pause: duration.optional(),
      healthy_after: duration.optional(),
      grace: duration.optional(),
      parallel: z.int().min(1).max(1000).optional(),
      log_directories: z.array(directory).optional(),
      binary_logs: z.boolean().optional(),
    })
    .optional(),
  deadlines: z
    .strictObject({
      load: duration.optional(),
      cleanup: duration.optional(),
      shutdown: duration.optional(),
      state: duration.optional(),
      metrics: duration.optional(),
      start: duration.optional(),
      call: duration.optional(),
    })
    .optional(),
});

export type ConfigFile = z.output<typeof configSchema>;
