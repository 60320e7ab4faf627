import { randomBytes } from 'node:crypto';
import type { Logger } from '../shared/log/logger.ts';
import { CgroupMembership, findCgroupRoot } from './cgroup-membership.ts';
import { MarkerMembership } from './marker-membership.ts';
import type { Membership } from './membership.ts';
import type { CgroupDirectory } from './own-cgroups.ts';

/** Makes memberships of the best kind that the host allows this user. */
export class Memberships {
  readonly #logger: Logger;
  #root: CgroupDirectory | undefined;
  #looked = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  create(): Membership {
    if (!this.#looked) {
      this.#root = findCgroupRoot();
      this.#looked = true;
      this.#logger.info('tasks are tracked', { by: this.#root?.directory ?? 'environment variable' });
    }
    const name = randomBytes(8).toString('hex');
    if (this.#root !== undefined) {
      try {
        return CgroupMembership.create(this.#root, name);
      } catch (error) {
        this.#logger.warn('cgroup failed', { directory: this.#root.directory, error: String(error) });
      }
    }
    return new MarkerMembership(name);
  }
}
