/** Unread bytes of one stream; past it the stream fails with RESOURCE_EXHAUSTED, and the connection goes on. */
export const streamCapacity = 8 * 1024 * 1024;

/** Counted for each message besides its bytes, so that empty ones are bounded too. */
export const messageOverhead = 256;
