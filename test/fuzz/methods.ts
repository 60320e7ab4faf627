import { readdirSync } from 'node:fs';
import path from 'node:path';
import protobuf from 'protobufjs';

const protoDirectory = path.resolve(import.meta.dirname, '../../src/shared/proto');

/** What is served, or known not to be: `containerd.task` and the runtime's own services belong to shims. */
const served = /^\.(?:containerd\.services\.(?!events\.ttrpc)|grpc\.|shimd\.)/;

export interface Method {
  readonly path: string;
  readonly request: protobuf.Type;
  readonly isStream: boolean;
  readonly takesStream: boolean;
}

/** Every method of every service that the .proto files describe and a client may call. */
export async function servedMethods(): Promise<Method[]> {
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => (path.isAbsolute(target) ? target : path.join(protoDirectory, target));
  const files = readdirSync(protoDirectory, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.proto'),
  );
  await root.load(
    files.map((name) => path.join(protoDirectory, name)),
    { keepCase: true },
  );
  root.resolveAll();
  const found: Method[] = [];
  const visit = (object: protobuf.ReflectionObject): void => {
    if (object instanceof protobuf.Service && served.test(object.fullName)) {
      for (const method of object.methodsArray) {
        if (method.resolvedRequestType === null) throw new Error(`${method.fullName} has no request`);
        found.push({
          path: `/${object.fullName.slice(1)}/${method.name}`,
          request: method.resolvedRequestType,
          isStream: method.responseStream === true,
          takesStream: method.requestStream === true,
        });
      }
    } else if (object instanceof protobuf.Namespace) {
      for (const nested of object.nestedArray) visit(nested);
    }
  };
  visit(root);
  return found;
}
