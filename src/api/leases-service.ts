import { randomBytes } from 'node:crypto';
import { absent, labelField, parseFilters, presentUnlessEmpty } from '../events/filter/index.ts';
import { invalidArgument, unimplemented } from '../shared/errors/index.ts';
import { leasesDefinition } from '../shared/grpc/index.ts';
import type { Lease, LeaseResource, LeaseStore } from '../store/index.ts';
import { type Service, unary } from './binding.ts';
import { checkLabels, withoutEmpty } from './labels.ts';

/** Longest id of a lease or of a resource, in UTF-16 units. */
const maxIdLength = 512;

/** `containerd.services.leases.v1.Leases`. There is nothing here that a lease keeps from being collected. */
export function leasesService({ leases }: { readonly leases: LeaseStore }): Service<typeof leasesDefinition> {
  return {
    create: unary(leasesDefinition.create, async (request, context) => {
      const namespace = context.namespace();
      checkLabels(request.labels, 'lease.Labels');
      const id = request.id === '' ? generateId() : parseLeaseId(request.id);
      return { lease: writeLease(await leases.create(namespace, id, withoutEmpty(request.labels))) };
    }),

    delete: unary(leasesDefinition.delete, async (request, context) => {
      await leases.delete(context.namespace(), parseLeaseId(request.id));
      return {};
    }),

    list: unary(leasesDefinition.list, (request, context) => {
      const filter = parseFilters(request.filters);
      const found = leases.list(context.namespace()).filter((lease) =>
        filter.match(([field, ...rest]) => {
          if (field === 'id') return presentUnlessEmpty(lease.id);
          return field === 'labels' ? labelField(lease.labels, rest) : absent;
        }),
      );
      return { leases: found.map(writeLease) };
    }),

    addResource: unary(leasesDefinition.addResource, async (request, context) => {
      await leases.addResource(context.namespace(), parseLeaseId(request.id), parseResource(request.resource));
      return {};
    }),

    deleteResource: unary(leasesDefinition.deleteResource, async (request, context) => {
      await leases.deleteResource(context.namespace(), parseLeaseId(request.id), parseResource(request.resource));
      return {};
    }),

    listResources: unary(leasesDefinition.listResources, (request, context) => {
      const resources = leases.resources(context.namespace(), parseLeaseId(request.id));
      return { resources: resources.map(({ id, type }) => ({ id, type })) };
    }),
  };
}

/** Clients make ids that are no identifiers (`1700000000-_-Ab`), so little is asked of one. */
function parseLeaseId(id: string): string {
  if (id === '') throw invalidArgument('lease id must be provided: invalid argument');
  if (id.length > maxIdLength || /\p{Cc}/u.test(id)) {
    throw invalidArgument(
      `lease id ${JSON.stringify(id.slice(0, 64))} is over ${maxIdLength} characters long or has control characters: invalid argument`,
    );
  }
  return id;
}

function generateId(): string {
  return `${process.hrtime.bigint() % 1_000_000_000n}-${randomBytes(3).toString('base64url')}`;
}

function parseResource(
  resource: { readonly id?: string | null; readonly type?: string | null } | null | undefined,
): LeaseResource {
  const id = resource?.id ?? '';
  const type = resource?.type ?? '';
  if (id === '' || id.length > maxIdLength) {
    throw invalidArgument(`resource id must have 1 to ${maxIdLength} characters: invalid argument`);
  }
  if (!/^(?:content|images|ingests|snapshots\/[^/]+)$/.test(type)) {
    throw unimplemented(`resource type ${JSON.stringify(type.slice(0, 64))} not supported yet: not implemented`);
  }
  return { id, type };
}

function writeLease(lease: Lease) {
  return { id: lease.id, createdAt: lease.createdAt, labels: { ...lease.labels } };
}
