import { containerd, google } from '../proto/gen/services.js';
import { unary } from './method.ts';

const service = 'containerd.services.introspection.v1.Introspection';
const v1 = containerd.services.introspection.v1;

/** containerd's introspection: `containerd.services.introspection.v1.Introspection`. */
export const introspectionDefinition = {
  plugins: unary(service, 'Plugins', v1.PluginsRequest, v1.PluginsResponse),
  server: unary(service, 'Server', google.protobuf.Empty, v1.ServerResponse),
  pluginInfo: unary(service, 'PluginInfo', v1.PluginInfoRequest, v1.PluginInfoResponse),
};
