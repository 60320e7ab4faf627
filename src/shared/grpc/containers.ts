import { containerd, google } from '../proto/gen/services.js';
import { serverStream, unary } from './method.ts';

const service = 'containerd.services.containers.v1.Containers';
const v1 = containerd.services.containers.v1;

/** containerd's container metadata: `containerd.services.containers.v1.Containers`. */
export const containersDefinition = {
  get: unary(service, 'Get', v1.GetContainerRequest, v1.GetContainerResponse),
  list: unary(service, 'List', v1.ListContainersRequest, v1.ListContainersResponse),
  listStream: serverStream(service, 'ListStream', v1.ListContainersRequest, v1.ListContainerMessage),
  create: unary(service, 'Create', v1.CreateContainerRequest, v1.CreateContainerResponse),
  update: unary(service, 'Update', v1.UpdateContainerRequest, v1.UpdateContainerResponse),
  delete: unary(service, 'Delete', v1.DeleteContainerRequest, google.protobuf.Empty),
};
