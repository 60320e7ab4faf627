import { sendDatagram } from '../../shared/host/index.ts';
import type { Logger } from '../../shared/log/logger.ts';

/** The variables by which a service manager speaks to its service; none of its children's business. */
const variables = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID', 'LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES'];

/** The service side of systemd's notification protocol (sd_notify); does nothing where nobody asked for it. */
export class ServiceManager {
  readonly #address: string | undefined;
  readonly #watchdogInterval: number | undefined;
  readonly #logger: Logger;
  #watchdog: NodeJS.Timeout | undefined;

  /** Reads the variables and removes them from `environment`, so that no shim or container inherits them. */
  static fromEnvironment(environment: NodeJS.ProcessEnv, logger: Logger): ServiceManager {
    const address = environment['NOTIFY_SOCKET'];
    const microseconds = Number(environment['WATCHDOG_USEC']);
    const forUs = [undefined, String(process.pid)].includes(environment['WATCHDOG_PID']);
    for (const name of variables) delete environment[name];
    return new ServiceManager(address, forUs && microseconds > 0 ? microseconds / 1000 : undefined, logger);
  }

  private constructor(address: string | undefined, watchdogTimeout: number | undefined, logger: Logger) {
    this.#address = address === '' ? undefined : address;
    // Half of the timeout, as sd_watchdog_enabled(3) advises.
    this.#watchdogInterval = watchdogTimeout === undefined ? undefined : Math.max(1, watchdogTimeout / 2);
    this.#logger = logger;
  }

  /** Serving from now on. Also starts the watchdog's heartbeat: it beats as long as the main thread's loop turns. */
  ready(status: string): void {
    this.#notify(`READY=1\nMAINPID=${process.pid}\nSTATUS=${status}`);
    if (this.#watchdogInterval !== undefined && this.#address !== undefined) {
      this.#watchdog = setInterval(() => this.#notify('WATCHDOG=1'), this.#watchdogInterval).unref();
    }
  }

  stopping(): void {
    this.#notify('STOPPING=1');
  }

  close(): void {
    clearInterval(this.#watchdog);
  }

  #notify(message: string): void {
    if (this.#address === undefined) return;
    try {
      sendDatagram(this.#address, message);
    } catch (error) {
      this.#logger.warn('service manager not notified', { address: this.#address, error });
    }
  }
}
