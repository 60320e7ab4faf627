/** Longest message, in bytes, in both directions: what containerd's Go clients receive at most. */
export const maxMessageBytes = 16 * 1024 * 1024;

/** Connections at once; each costs a descriptor and some memory. */
export const maxConnections = 4096;

/** Calls at once on one connection: a client may wait for very many tasks. */
export const maxConcurrentCalls = 100_000;
