import pty, { type IPty } from '@lydell/node-pty';
import { waitFor } from './wait-for.ts';

export interface Command {
  readonly file: string;
  readonly args: string[];
  readonly env: NodeJS.ProcessEnv;
}

/** A command in a terminal of 100 by 30 characters. */
export class TerminalSession {
  readonly terminal: IPty;
  readonly ended: Promise<number>;
  output = '';

  constructor({ file, args, env }: Command) {
    this.terminal = pty.spawn(file, args, { cols: 100, rows: 30, env: { ...env, TERM: 'xterm' } });
    this.terminal.onData((text) => {
      this.output += text;
    });
    this.ended = new Promise((resolve) => {
      this.terminal.onExit(({ exitCode }) => resolve(exitCode));
    });
  }

  async shows(text: string | RegExp): Promise<void> {
    const found = () => (typeof text === 'string' ? this.output.includes(text) : text.test(this.output));
    await waitFor(found, { doing: `the terminal to show ${String(text)}; it shows ${JSON.stringify(this.output)}` });
  }

  /** Ends the command, whatever it does. */
  async close(): Promise<void> {
    this.terminal.kill('SIGKILL');
    await this.ended;
  }
}
