import { containerd, google } from '../proto/gen/services.js';
import { serverStream, unary } from './method.ts';

const service = 'containerd.services.events.v1.Events';
const v1 = containerd.services.events.v1;

/** containerd's events: `containerd.services.events.v1.Events`. */
export const eventsDefinition = {
  publish: unary(service, 'Publish', v1.PublishRequest, google.protobuf.Empty),
  forward: unary(service, 'Forward', v1.ForwardRequest, google.protobuf.Empty),
  subscribe: serverStream(service, 'Subscribe', v1.SubscribeRequest, containerd.types.Envelope),
};
