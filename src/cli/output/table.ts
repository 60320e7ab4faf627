import { stripVTControlCharacters } from 'node:util';

/** Rows of cells as aligned columns, the headings first. The last column is not padded. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => visibleWidth(row[column] ?? ''))));
  return all
    .map((row) =>
      headings
        .map((_, column) => {
          const cell = row[column] ?? '';
          const padding = column === headings.length - 1 ? 0 : (widths[column] ?? 0) - visibleWidth(cell);
          return cell + ' '.repeat(padding);
        })
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** Characters that the terminal shows: colour codes take no room. */
function visibleWidth(cell: string): number {
  return Array.from(stripVTControlCharacters(cell)).length;
}
