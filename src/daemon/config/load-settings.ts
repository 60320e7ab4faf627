import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Flags, resolveSettings, type Settings } from './settings.ts';

/** Where the configuration is looked for when no file is named: no harm where it is not there. */
export function defaultConfigFile(env: Readonly<Record<string, string | undefined>> = process.env): string {
  if (process.getuid?.() === 0) return '/etc/shimd/config.toml';
  const xdg = env['XDG_CONFIG_HOME'];
  const home = xdg !== undefined && path.isAbsolute(xdg) ? xdg : path.join(env['HOME'] ?? '/', '.config');
  return path.join(home, 'shimd/config.toml');
}

/** The complete settings of `flags` and a configuration file: the named one, or the default one where there is one. */
export async function loadSettings(flags: Flags, configFile: string | undefined): Promise<Settings> {
  const file = configFile ?? defaultConfigFile();
  if (configFile === undefined && !existsSync(file)) return resolveSettings(flags, {});
  // The parser and the schema cost a daemon without a file 80 ms and 6 MB.
  const { readConfigFile } = await import('./config-file.ts');
  return resolveSettings(flags, readConfigFile(file));
}
