import { type Paint, painter } from '../output/colour.ts';

export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** How far something is. */
export interface ProgressState {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  /** Said after the numbers. */
  readonly note?: string;
}

const redrawEvery = 100;
const lineEvery = 2_000;
const barWidth = 30;
/** Where a terminal does not tell, or says 0. */
const usualColumns = 80;
const clearLine = '\r\u001B[2K';

/**
 * Shows how far something is: a bar that is redrawn on a terminal, otherwise a plain line every 2 s and at the end of
 * each part. Nothing of it stays on a terminal.
 */
export class Progress {
  readonly #stream: ProgressStream;
  readonly #live: boolean;
  readonly #paint: Paint;
  #drawnAt = 0;
  #drawn = false;
  #partBegan = 0;
  #label: string | undefined;

  constructor(stream: ProgressStream, env: Readonly<Record<string, string | undefined>> = process.env) {
    this.#stream = stream;
    this.#live = stream.isTTY === true && env['TERM'] !== 'dumb';
    this.#paint = painter(stream, env);
  }

  /** Cheap: most calls draw nothing. */
  show(state: ProgressState): void {
    const now = performance.now();
    if (state.label !== this.#label) {
      this.#label = state.label;
      this.#partBegan = now;
      this.#drawnAt = this.#live ? 0 : now;
    }
    const finished = state.done >= state.total;
    if (!finished && now - this.#drawnAt < (this.#live ? redrawEvery : lineEvery)) return;
    this.#drawnAt = now;
    const rate = (state.done * 1000) / Math.max(1, now - this.#partBegan);
    const facts = `${state.done}/${state.total}  ${rate.toFixed(0)}/s${state.note === undefined ? '' : `  ${state.note}`}`;
    if (!this.#live) {
      this.#stream.write(`${state.label}: ${facts}\n`);
      return;
    }
    const room = (this.#stream.columns || usualColumns) - state.label.length - facts.length - 6;
    const width = Math.max(0, Math.min(barWidth, room));
    const filled = Math.round((width * state.done) / Math.max(1, state.total));
    const bar = width === 0 ? '' : `[${this.#paint('green', '='.repeat(filled))}${' '.repeat(width - filled)}] `;
    this.#stream.write(`${clearLine}${state.label} ${bar}${facts}`);
    this.#drawn = true;
  }

  /** Takes the bar away, for something else to be written. Idempotent. */
  clear(): void {
    if (this.#drawn) this.#stream.write(clearLine);
    this.#drawn = false;
    this.#drawnAt = 0;
  }
}
