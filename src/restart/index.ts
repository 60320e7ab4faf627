export { defaultRestart, type RestartConfig } from './config.ts';
export { RestartMonitor } from './monitor.ts';
export type { StopOptions } from './stop-task.ts';
