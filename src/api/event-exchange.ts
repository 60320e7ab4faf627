import type { Exchange } from '../events/index.ts';

/** What the API needs of the event exchange. */
export type EventExchange = Pick<Exchange, 'publish' | 'subscribe'>;
