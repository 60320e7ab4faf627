/** What the threads load: the worker entry of this build. */
export const builtEntry: URL = new URL('../../workers/entry.js', import.meta.url);
