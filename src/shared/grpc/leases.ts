import { containerd, google } from '../proto/gen/services.js';
import { unary } from './method.ts';

const service = 'containerd.services.leases.v1.Leases';
const v1 = containerd.services.leases.v1;

/** containerd's leases: `containerd.services.leases.v1.Leases`. */
export const leasesDefinition = {
  create: unary(service, 'Create', v1.CreateRequest, v1.CreateResponse),
  delete: unary(service, 'Delete', v1.DeleteRequest, google.protobuf.Empty),
  list: unary(service, 'List', v1.ListRequest, v1.ListResponse),
  addResource: unary(service, 'AddResource', v1.AddResourceRequest, google.protobuf.Empty),
  deleteResource: unary(service, 'DeleteResource', v1.DeleteResourceRequest, google.protobuf.Empty),
  listResources: unary(service, 'ListResources', v1.ListResourcesRequest, v1.ListResourcesResponse),
};
