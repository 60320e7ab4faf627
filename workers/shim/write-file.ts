import { chmod, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** Writes a file that is either whole or absent, whoever dies meanwhile. The mode does not depend on the umask. */
export async function writeFileWhole(file: string, content: string | Uint8Array, mode: number): Promise<void> {
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.tmp`);
  try {
    await writeFile(temporary, content, { mode: 0o600 });
    await chmod(temporary, mode);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
