import { randomBytes } from 'node:crypto';
import type { Logger } from '../shared/log/logger.ts';
import { CgroupMembership, findCgroupRoot } from './cgroup-membership.ts';
import { MarkerMembership } from './marker-membership.ts';
import type { Membership } from './membership.ts';
import type { CgroupDirectory } from './own-cgroups.ts';
import { writeTaskRecord } from './task-record.ts';

/** Makes memberships of the best kind that the host allows this user. */
export class Memberships {
  readonly #logger: Logger;
  #root: CgroupDirectory | undefined;
  #looked = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** For the task of a bundle, which tells of it before there is anything: a shim that dies then leaves nothing unknown. */
  create(bundle: string): Membership {
    if (!this.#looked) {
      this.#root = findCgroupRoot();
      this.#looked = true;
      this.#logger.info('tasks are tracked', { by: this.#root?.directory ?? 'environment variable' });
    }
    const name = randomBytes(8).toString('hex');
    if (this.#root !== undefined) {
      try {
        const membership = CgroupMembership.at(this.#root, name);
        this.#write(bundle, membership);
        membership.make();
        return membership;
      } catch (error) {
        this.#logger.warn('cgroup failed', { directory: this.#root.directory, error: String(error) });
      }
    }
    const membership = new MarkerMembership(name);
    this.#write(bundle, membership);
    return membership;
  }

  #write(bundle: string, { recorded }: Membership): void {
    try {
      writeTaskRecord(bundle, { membership: recorded });
    } catch (error) {
      this.#logger.warn('record not written', { bundle, error: String(error) });
    }
  }
}
