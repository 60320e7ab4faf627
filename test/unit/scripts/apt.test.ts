import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';

type Retarget = (text: string, ours: Set<string>, suite: string) => string;

const file = path.resolve(import.meta.dirname, '../../../scripts/lib/apt.mjs');
const { retargetDeb822, retargetOneLine } = (await import(pathToFileURL(file).href)) as {
  retargetDeb822: Retarget;
  retargetOneLine: Retarget;
};

const ours = new Set(['bookworm']);

describe('the sources of another suite', () => {
  test('are the stanzas of this one with the suite replaced', () => {
    const text = `# a comment
Types: deb deb-src
# http://snapshot.example/archive/20250520T000000Z
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
`;
    expect(retargetDeb822(text, ours, 'sid')).toBe(`Types: deb
URIs: http://mirror.example/debian
Suites: sid
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg`);
  });

  test('keep a key that is written into the stanza', () => {
    const text =
      'Types: deb\nURIs: http://a.example\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN-----\n .\n abc\n';
    expect(retargetDeb822(text, ours, 'trixie')).toContain('Signed-By: \n -----BEGIN-----\n .\n abc');
  });

  test('leave out what is disabled and what is not the archive', () => {
    const text = `Types: deb
Enabled: no
URIs: http://a.example
Suites: bookworm
Components: main

Types: deb
URIs: http://vendor.example
Suites: bookworm
Components: stable

Types: deb
URIs: http://vendor.example
Suites: nodistro
Components: main
`;
    expect(retargetDeb822(text, ours, 'sid')).toBe('');
  });

  test('are the lines of the one-line form with the suite replaced', () => {
    const text = `# deb http://old.example/debian bookworm main
deb [signed-by=/etc/key.gpg arch=amd64] http://mirror.example/debian bookworm main contrib # the archive
deb-src http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm-updates main
deb cdrom:[Debian]/ bookworm contrib
`;
    expect(retargetOneLine(text, ours, 'trixie')).toBe(
      'deb [signed-by=/etc/key.gpg arch=amd64] http://mirror.example/debian trixie main',
    );
  });
});
