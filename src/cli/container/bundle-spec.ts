import { readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { isErrnoException } from '../../shared/errors/index.ts';
import { bundleFiles } from '../../shared/layout.ts';
import type { Mount, Spec } from '../../shared/oci/spec.ts';
import { parseSpec } from './parse-spec.ts';

/**
 * The spec of an OCI bundle directory, free of the directory: the daemon makes a bundle of its own of it, so paths that
 * are relative to this one become absolute. Throws an error that says what the bundle lacks.
 */
export async function readBundleSpec(directory: string): Promise<Spec> {
  const bundle = path.resolve(directory);
  const file = path.join(bundle, bundleFiles.config);
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Error(`--bundle ${directory}: ${whyUnreadable(error, bundleFiles.config)}`, { cause: error });
  });
  const spec = parseSpec(text, file);
  const root = { ...spec.root, path: path.resolve(bundle, spec.root.path) };
  return {
    ...spec,
    root: { ...root, path: await realDirectory(root.path, `root.path of ${file}`) },
    mounts: (spec.mounts ?? []).map((mount) => absoluteSource(mount, bundle)),
  };
}

/** The absolute path of a root file system. Throws an error that says what is wrong with it. */
export async function resolveRootfs(directory: string): Promise<string> {
  return realDirectory(path.resolve(directory), '--rootfs');
}

/** Without symbolic links: runc takes none for a root file system. */
async function realDirectory(directory: string, what: string): Promise<string> {
  const real = await realpath(directory).catch((error: unknown) => {
    throw new Error(`${what} ${directory}: ${whyUnreadable(error, 'directory')}`, { cause: error });
  });
  if (!(await stat(real)).isDirectory()) throw new Error(`${what} ${directory}: not a directory`);
  return real;
}

/** Only of bind mounts is the source a path. */
function absoluteSource(mount: Mount, bundle: string): Mount {
  const isBind = mount.type === 'bind' || mount.options?.some((option) => option === 'bind' || option === 'rbind');
  if (!isBind || mount.source === undefined || path.isAbsolute(mount.source)) return mount;
  return { ...mount, source: path.resolve(bundle, mount.source) };
}

function whyUnreadable(error: unknown, what: string): string {
  if (isErrnoException(error)) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return `there is no ${what}`;
    if (error.code === 'EACCES') return `no permission to read the ${what}`;
    return `cannot read the ${what} (${error.code})`;
  }
  return String(error);
}
