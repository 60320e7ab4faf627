export { decodeEvent, frozenTaskOf, taskExitOf, taskOomOf } from './decode-event.ts';
export { EventsEndpoint } from './endpoint.ts';
export type { Envelope } from './envelope.ts';
export { createEventTail, type EventTail, type TailEvent, type TailStart } from './event-tail.ts';
export { Exchange, type Interest, type SubscribeOptions, type Subscription } from './exchange.ts';
export * from './topics.ts';
