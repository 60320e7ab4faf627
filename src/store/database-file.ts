import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { failedPrecondition, isErrnoException, TaskError } from '../shared/errors/index.ts';

/** Where the fields of an LMDB meta page are, in bytes from the start of the page (64-bit, little endian). */
const meta = {
  flags: 18,
  magic: 24,
  version: 28,
  pageSize: 48,
  freeRoot: 88,
  mainRoot: 136,
  lastPage: 144,
  transaction: 152,
  length: 168,
} as const;
const metaPageFlag = 0x08;
const treePageFlags = 0x03;
const magic = 0xbeefc0de;
const dataVersion = 2;
const noPage = 0xffff_ffff_ffff_ffffn;

/**
 * Checks, before LMDB maps it, that a file can be an LMDB database. LMDB itself trusts what it maps: a foreign or
 * cut-off file ends the process. Answers whether there is a file at all.
 * Throws FAILED_PRECONDITION for a file that is no database or not a whole one; the file is left as it is.
 */
export function checkDatabaseFile(file: string): 'absent' | 'usable' {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    if (isErrnoException(error) && error.code === 'ENOENT') return 'absent';
    throw TaskError.from(error, `open the metadata database ${file}`);
  }
  try {
    const reason = findFault(fd);
    if (reason === undefined) return 'usable';
    throw failedPrecondition(
      `the metadata database ${file} cannot be used: ${reason}. It was left untouched: put back a copy of it, or move it away to start with an empty one: failed precondition`,
    );
  } finally {
    closeSync(fd);
  }
}

/** What is wrong with the file; undefined where nothing is. */
function findFault(fd: number): string | undefined {
  const stats = fstatSync(fd);
  if (!stats.isFile()) return 'it is not a regular file';
  const first = readMeta(fd, 0);
  if (typeof first === 'string') return first;
  const second = readMeta(fd, first.pageSize);
  if (typeof second === 'string') return second;
  const newest = first.transaction > second.transaction ? first : second;
  const pages = BigInt(Math.floor(stats.size / newest.pageSize));
  if (newest.lastPage >= pages) {
    return `it is cut off: it has ${pages} pages of the ${newest.lastPage + 1n} that it says it has`;
  }
  for (const root of [newest.freeRoot, newest.mainRoot]) {
    if (root === noPage) continue;
    if (root > newest.lastPage || !isTreePage(fd, root, newest.pageSize)) return 'its contents are damaged';
  }
  return undefined;
}

interface Meta {
  readonly pageSize: number;
  readonly freeRoot: bigint;
  readonly mainRoot: bigint;
  readonly lastPage: bigint;
  readonly transaction: bigint;
}

function readMeta(fd: number, position: number): Meta | string {
  const page = Buffer.alloc(meta.length);
  if (readSync(fd, page, 0, page.length, position) < page.length) return 'it is too short to be a database';
  if ((page.readUInt16LE(meta.flags) & metaPageFlag) === 0 || page.readUInt32LE(meta.magic) !== magic) {
    return 'it is not an LMDB database';
  }
  const version = page.readUInt32LE(meta.version) & 0xffff;
  if (version !== dataVersion) return `it has version ${version} of LMDB's format, not ${dataVersion}`;
  const pageSize = page.readUInt32LE(meta.pageSize);
  if (pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) return 'its contents are damaged';
  return {
    pageSize,
    freeRoot: page.readBigUInt64LE(meta.freeRoot),
    mainRoot: page.readBigUInt64LE(meta.mainRoot),
    lastPage: page.readBigUInt64LE(meta.lastPage),
    transaction: page.readBigUInt64LE(meta.transaction),
  };
}

function isTreePage(fd: number, number: bigint, pageSize: number): boolean {
  const page = Buffer.alloc(meta.magic);
  const read = readSync(fd, page, 0, page.length, Number(number) * pageSize);
  return (
    read === page.length && page.readBigUInt64LE(0) === number && (page.readUInt16LE(meta.flags) & treePageFlags) !== 0
  );
}
