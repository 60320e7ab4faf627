import { UsageError } from '../failure.ts';

export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** Our own terminal, while a process's terminal is shown in it. */
export interface Terminal {
  /** In characters. */
  readonly size: TerminalSize;
  /** Hands every key to the process, ctrl-C too. Undone by the function that it answers, and at the latest when we exit. */
  raw(): () => void;
  /** Calls `listener` when the window changes its size, until the function that it answers is called. */
  onResize(listener: (size: TerminalSize) => void): () => void;
}

const usualSize: TerminalSize = { width: 80, height: 24 };

/** The size of the terminal that our output goes to; undefined where it is none, or one that does not tell. */
export function terminalSize(): TerminalSize | undefined {
  const [width, height] = process.stdout.isTTY ? process.stdout.getWindowSize() : [0, 0];
  return width > 0 && height > 0 ? { width, height } : undefined;
}

function currentSize(): TerminalSize {
  return terminalSize() ?? usualSize;
}

/** Throws UsageError where standard input is not a terminal. */
export function openTerminal(): Terminal {
  const { stdin } = process;
  if (!stdin.isTTY) {
    throw new UsageError('--tty: standard input is not a terminal; leave --tty out to use pipes');
  }
  return {
    get size() {
      return currentSize();
    },
    raw() {
      const restore = () => {
        process.off('exit', restore);
        stdin.setRawMode(false);
      };
      // Whatever ends us, an uncaught error or process.exit, the user's shell gets its terminal back.
      process.on('exit', restore);
      stdin.setRawMode(true);
      return restore;
    },
    onResize(listener) {
      const changed = () => listener(currentSize());
      process.on('SIGWINCH', changed);
      return () => process.off('SIGWINCH', changed);
    },
  };
}
