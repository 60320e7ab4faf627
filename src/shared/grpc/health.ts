import { grpc } from '../proto/gen/services.js';
import { serverStream, unary } from './method.ts';

const service = 'grpc.health.v1.Health';
const v1 = grpc.health.v1;

/** gRPC's standard health check: `grpc.health.v1.Health`. */
export const healthDefinition = {
  check: unary(service, 'Check', v1.HealthCheckRequest, v1.HealthCheckResponse),
  watch: serverStream(service, 'Watch', v1.HealthCheckRequest, v1.HealthCheckResponse),
};
