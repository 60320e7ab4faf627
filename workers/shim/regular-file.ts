import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { failedPrecondition, TaskError } from '../../src/shared/errors/index.ts';

/**
 * Linux's O_PATH, which Node does not name: a descriptor of the name's inode that opens nothing. So a FIFO neither blocks nor
 * gets a reader, whose leaving would end its writer; a device does nothing; a link is seen as one.
 */
const openPath = 0o10_000_000;
const look = openPath | constants.O_NOFOLLOW;
const readOnly = constants.O_RDONLY | constants.O_NONBLOCK;

function assertRegular(name: string, found: Stats): void {
  if (found.isFile()) return;
  const kind = found.isSymbolicLink()
    ? 'a link'
    : found.isFIFO()
      ? 'a FIFO'
      : found.isDirectory()
        ? 'a directory'
        : 'no plain file';
  throw failedPrecondition(`${name} is ${kind}, and is not read: failed precondition`);
}

/**
 * Opens a regular file for reading, without following a link in its last part and without ever blocking.
 * Throws FAILED_PRECONDITION for anything else that has the name, NOT_FOUND and PERMISSION_DENIED as the kernel does. `name` is
 * the file's in what is thrown.
 */
export async function openRegularFile(file: string, name = file): Promise<FileHandle> {
  try {
    const inode = await open(file, look);
    try {
      assertRegular(name, await inode.stat());
      return await open(`/proc/self/fd/${inode.fd}`, readOnly);
    } finally {
      await inode.close();
    }
  } catch (error) {
    throw TaskError.from(error, `open ${name}`);
  }
}

/** Like `openRegularFile`, at once; `flags` are those of the opening, such as `r+`. The caller closes the descriptor. */
export function openRegularFileSync(file: string, flags: 'r' | 'r+'): number {
  try {
    const inode = openSync(file, look);
    try {
      assertRegular(file, fstatSync(inode));
      return openSync(`/proc/self/fd/${inode}`, flags);
    } finally {
      closeSync(inode);
    }
  } catch (error) {
    throw TaskError.from(error, `open ${file}`);
  }
}
