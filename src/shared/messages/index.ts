export type * from './operation.ts';
export type * from './order.ts';
export type * from './process.ts';
export type * from './reply.ts';
export type * from './report.ts';
export type * from './sandbox.ts';
export type * from './shim.ts';
export type * from './shim-log.ts';
