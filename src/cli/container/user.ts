import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import type { User } from '../../shared/oci/spec.ts';

/** Ids are 32 bits, and runtimes keep them signed: beyond this, one wraps round to another user, root included. */
const maxId = 2 ** 31 - 1;

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/**
 * Resolves `user[:group]`, each a name or a number, with the root file system's own `/etc/passwd` and `/etc/group`.
 * Without a group it is the user's primary one (0 for a number that has no entry), and the groups that list the user
 * come along. Throws an error that says which name is unknown.
 */
export async function resolveUser(text: string, rootfs: string): Promise<User> {
  const [userText = '', groupText, ...rest] = text.split(':');
  if (userText === '' || groupText === '' || rest.length > 0) {
    throw new Error(`--user '${text}': has to be USER or USER:GROUP, each a name or a number`);
  }
  const passwd = parsePasswd(await readInside(rootfs, 'etc/passwd'));
  const uid = parseId(userText);
  const entry = passwd.find((candidate) => (uid === undefined ? candidate.name === userText : candidate.uid === uid));
  if (uid === undefined && entry === undefined) {
    throw new Error(
      `--user '${text}': no user '${userText}' in ${path.join(rootfs, 'etc/passwd')}; a number needs no entry`,
    );
  }
  const groups = parseGroup(await readInside(rootfs, 'etc/group'));
  const user = { uid: uid ?? entry?.uid ?? 0, gid: entry?.gid ?? 0 };
  if (groupText !== undefined) {
    const gid = parseId(groupText) ?? groups.find((group) => group.name === groupText)?.gid;
    if (gid !== undefined) return { ...user, gid };
    throw new Error(
      `--user '${text}': no group '${groupText}' in ${path.join(rootfs, 'etc/group')}; a number needs no entry`,
    );
  }
  const additionalGids = groups
    .filter((group) => entry !== undefined && group.members.includes(entry.name) && group.gid !== user.gid)
    .map((group) => group.gid);
  return additionalGids.length === 0 ? user : { ...user, additionalGids };
}

/** The number that `text` is, or undefined for a name. Throws for a number that is no id. */
function parseId(text: string): number | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id < 0 || id > maxId) throw new Error(`--user: ${text} is not an id; ids go from 0 to ${maxId}`);
  return id;
}

export function parsePasswd(text: string): PasswdEntry[] {
  return entriesOf(text).flatMap(([name = '', , uid = '', gid = '']) => {
    const entry = { name, uid: Number(uid), gid: Number(gid) };
    return name !== '' && isId(uid, entry.uid) && isId(gid, entry.gid) ? [entry] : [];
  });
}

export function parseGroup(text: string): GroupEntry[] {
  return entriesOf(text).flatMap(([name = '', , gid = '', members = '']) => {
    const entry = { name, gid: Number(gid), members: members.split(',').filter((member) => member !== '') };
    return name !== '' && isId(gid, entry.gid) ? [entry] : [];
  });
}

function isId(text: string, id: number): boolean {
  return /^\d+$/.test(text) && id <= maxId;
}

function entriesOf(text: string): string[][] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}

/**
 * A file of the root file system, empty where there is none. One that a link leads out of it is not read: the host's
 * users are not the container's.
 */
async function readInside(rootfs: string, file: string): Promise<string> {
  try {
    const root = await realpath(rootfs);
    const real = await realpath(path.join(root, file));
    return real.startsWith(root === '/' ? root : `${root}/`) ? await readFile(real, 'utf8') : '';
  } catch {
    return '';
  }
}
