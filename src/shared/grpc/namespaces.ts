import { containerd, google } from '../proto/gen/services.js';
import { unary } from './method.ts';

const service = 'containerd.services.namespaces.v1.Namespaces';
const v1 = containerd.services.namespaces.v1;

/** containerd's namespaces: `containerd.services.namespaces.v1.Namespaces`. */
export const namespacesDefinition = {
  get: unary(service, 'Get', v1.GetNamespaceRequest, v1.GetNamespaceResponse),
  list: unary(service, 'List', v1.ListNamespacesRequest, v1.ListNamespacesResponse),
  create: unary(service, 'Create', v1.CreateNamespaceRequest, v1.CreateNamespaceResponse),
  update: unary(service, 'Update', v1.UpdateNamespaceRequest, v1.UpdateNamespaceResponse),
  delete: unary(service, 'Delete', v1.DeleteNamespaceRequest, google.protobuf.Empty),
};
