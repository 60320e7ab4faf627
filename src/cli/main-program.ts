import { fileURLToPath } from 'node:url';

/** The `shimd` program that this is a part of. */
export const mainProgram: string = fileURLToPath(new URL('../main.js', import.meta.url));
