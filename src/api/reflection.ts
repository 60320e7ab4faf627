import { readFileSync } from 'node:fs';
import { invalidArgument, notFound, numberOfCode, TaskError } from '../shared/errors/index.ts';
import { grpc } from '../shared/proto/gen/reflection.js';

const { ServerReflectionRequest, ServerReflectionResponse } = grpc.reflection.v1;

/** One .proto file, as the build describes it. */
interface DescribedFile {
  readonly name: string;
  readonly dependencies: readonly string[];
  readonly symbols: readonly string[];
  /** Its FileDescriptorProto in base64. */
  readonly descriptor: string;
}

interface Descriptors {
  readonly byName: ReadonlyMap<string, DescribedFile>;
  readonly bySymbol: ReadonlyMap<string, DescribedFile>;
}

let loaded: Descriptors | undefined;

/** The encoded response to an encoded request. Throws INVALID_ARGUMENT for bytes that are no request. */
export function answer(bytes: Uint8Array, services: readonly string[]): Buffer {
  const request = decode(bytes);
  const response = { validHost: request.host, originalRequest: request, ...reply(request, services) };
  return Buffer.from(ServerReflectionResponse.encode(response).finish());
}

type Request = InstanceType<typeof ServerReflectionRequest>;

function decode(bytes: Uint8Array): Request {
  try {
    return ServerReflectionRequest.decode(bytes);
  } catch (error) {
    throw invalidArgument(`this is no ServerReflectionRequest: ${String(error)}: invalid argument`);
  }
}

function reply(request: Request, services: readonly string[]): grpc.reflection.v1.ServerReflectionResponse.$Properties {
  try {
    switch (request.messageRequest) {
      case 'listServices':
        return { listServicesResponse: { service: services.map((name) => ({ name })) } };
      case 'fileByFilename':
        return filesFrom(descriptors().byName, request.fileByFilename ?? '', 'file');
      case 'fileContainingSymbol':
        return filesFrom(descriptors().bySymbol, request.fileContainingSymbol ?? '', 'symbol');
      case 'allExtensionNumbersOfType':
        // proto3 has none.
        return filesFrom(descriptors().bySymbol, request.allExtensionNumbersOfType ?? '', 'type', (type) => ({
          allExtensionNumbersResponse: { baseTypeName: type, extensionNumber: [] },
        }));
      case 'fileContainingExtension':
        throw notFound('there are no extensions: not found');
      default:
        throw invalidArgument('the request asks for nothing: invalid argument');
    }
  } catch (error) {
    const { code, message } = TaskError.from(error);
    return { errorResponse: { errorCode: numberOfCode(code), errorMessage: message } };
  }
}

function filesFrom(
  files: ReadonlyMap<string, DescribedFile>,
  key: string,
  kind: string,
  write = (_: string, file: DescribedFile): grpc.reflection.v1.ServerReflectionResponse.$Properties => ({
    fileDescriptorResponse: { fileDescriptorProto: withDependencies(file) },
  }),
) {
  const file = files.get(key);
  if (file === undefined) throw notFound(`${kind} ${JSON.stringify(key.slice(0, 256))} is not served: not found`);
  return write(key, file);
}

/** The file and all that it imports, each after what it needs. */
function withDependencies(file: DescribedFile): Buffer[] {
  const found = new Map<string, Buffer>();
  const visit = (one: DescribedFile) => {
    if (found.has(one.name)) return;
    for (const name of one.dependencies) {
      const dependency = descriptors().byName.get(name);
      if (dependency !== undefined) visit(dependency);
    }
    found.set(one.name, Buffer.from(one.descriptor, 'base64'));
  };
  visit(file);
  // The file that was asked for comes first: some clients take nothing else.
  return [...found.values()].toReversed();
}

function descriptors(): Descriptors {
  loaded ??= load();
  return loaded;
}

function load(): Descriptors {
  const text = readFileSync(new URL('../shared/proto/gen/descriptors.json', import.meta.url), 'utf8');
  const files: readonly DescribedFile[] = JSON.parse(text);
  return {
    byName: new Map(files.map((file) => [file.name, file])),
    bySymbol: new Map(files.flatMap((file) => file.symbols.map((symbol): [string, DescribedFile] => [symbol, file]))),
  };
}
