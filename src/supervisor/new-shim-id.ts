import { randomBytes } from 'node:crypto';
import { parseShimId, type ShimId } from '../shared/identifiers.ts';

/** Never the id of an earlier shim: `start` on a live socket answers the old one. */
export function newShimId(): ShimId {
  return parseShimId(`shared-${randomBytes(8).toString('hex')}`);
}
