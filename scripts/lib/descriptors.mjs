// Describes the .proto files in protobuf's own terms (FileDescriptorProto), for gRPC reflection. protobufjs has a
// conversion of its own, but shortens the names of types, and those of map entries are not the ones that Go insists on.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import protobuf from 'protobufjs';
import descriptors from 'protobufjs/ext/descriptor.js';

const { FileDescriptorProto } = descriptors;

/**
 * The files and all that they import: `{ name, dependencies, symbols, descriptor }`, the descriptor in base64. A file's
 * name is its path below `protoDir`; google.protobuf's own files have the names that every client knows.
 */
export async function describeFiles(protoDir, files) {
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => (path.isAbsolute(target) ? target : path.join(protoDir, target));
  await root.load(
    files.map((file) => path.join(protoDir, file)),
    { keepCase: true },
  );
  root.resolveAll();
  const byFile = new Map();
  collect(root, protoDir, byFile);
  return Promise.all(
    [...byFile].map(async ([name, { package: packageName, types, enums, services }]) => {
      const dependencies = await dependenciesOf(protoDir, name);
      const file = FileDescriptorProto.fromObject({
        name,
        package: packageName,
        dependency: dependencies,
        messageType: types.map(message),
        enumType: enums.map(enumeration),
        service: services.map(service),
        syntax: 'proto3',
      });
      return {
        name,
        dependencies,
        symbols: symbolsOf([...types, ...enums, ...services]),
        descriptor: Buffer.from(FileDescriptorProto.encode(file).finish()).toString('base64'),
      };
    }),
  );
}

function message(type) {
  const nested = type.nestedArray.filter((object) => object instanceof protobuf.Type).map(message);
  const entries = type.fieldsArray.filter((field) => field.map).map(mapEntry);
  return {
    name: type.name,
    field: type.fieldsArray.map((field) => describeField(field, type)),
    nestedType: [...nested, ...entries],
    enumType: type.nestedArray.filter((object) => object instanceof protobuf.Enum).map(enumeration),
    oneofDecl: type.oneofsArray.map(({ name }) => ({ name })),
  };
}

function describeField(field, type) {
  const oneof = field.partOf && type.oneofsArray.indexOf(field.partOf);
  return {
    name: field.name,
    number: field.id,
    label: field.repeated || field.map ? 'LABEL_REPEATED' : 'LABEL_OPTIONAL',
    ...(field.map
      ? { type: 'TYPE_MESSAGE', typeName: `${type.fullName}.${entryName(field)}` }
      : typeOf(field.type, field.resolvedType)),
    jsonName: field.name.replaceAll(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase()),
    ...(field.partOf ? { oneofIndex: oneof } : {}),
    ...(field.options?.proto3_optional ? { proto3Optional: true } : {}),
  };
}

function typeOf(name, resolved) {
  if (resolved instanceof protobuf.Type) return { type: 'TYPE_MESSAGE', typeName: resolved.fullName };
  if (resolved instanceof protobuf.Enum) return { type: 'TYPE_ENUM', typeName: resolved.fullName };
  return { type: `TYPE_${name.toUpperCase()}` };
}

function mapEntry(field) {
  return {
    name: entryName(field),
    field: [
      { name: 'key', number: 1, label: 'LABEL_OPTIONAL', ...typeOf(field.keyType), jsonName: 'key' },
      {
        name: 'value',
        number: 2,
        label: 'LABEL_OPTIONAL',
        ...typeOf(field.type, field.resolvedType),
        jsonName: 'value',
      },
    ],
    options: { mapEntry: true },
  };
}

/** As protoc makes it: `update_mask` is `UpdateMaskEntry`. */
function entryName(field) {
  return `${field.name.replaceAll(/(?:^|_)([a-z0-9])/g, (_, letter) => letter.toUpperCase())}Entry`;
}

function enumeration(type) {
  return { name: type.name, value: Object.entries(type.values).map(([name, number]) => ({ name, number })) };
}

function service(described) {
  return {
    name: described.name,
    method: described.methodsArray.map((method) => ({
      name: method.name,
      inputType: method.resolvedRequestType.fullName,
      outputType: method.resolvedResponseType.fullName,
      clientStreaming: Boolean(method.requestStream),
      serverStreaming: Boolean(method.responseStream),
    })),
  };
}

/** What stands at the top of each file. */
function collect(namespace, protoDir, byFile) {
  for (const object of namespace.nestedArray) {
    const isType = object instanceof protobuf.Type;
    const isEnum = object instanceof protobuf.Enum;
    const isService = object instanceof protobuf.Service;
    if (!isType && !isEnum && !isService) {
      if (object instanceof protobuf.Namespace) collect(object, protoDir, byFile);
      continue;
    }
    const name = fileOf(object, protoDir);
    const file = byFile.get(name) ?? { package: namespace.fullName.slice(1), types: [], enums: [], services: [] };
    (isType ? file.types : isEnum ? file.enums : file.services).push(object);
    byFile.set(name, file);
  }
}

/** google.protobuf's own files, which protobufjs has built in and does not name. */
const wellKnown = { Any: 'any', Duration: 'duration', Empty: 'empty', FieldMask: 'field_mask', Timestamp: 'timestamp' };

function fileOf(object, protoDir) {
  if (object.filename) return path.relative(protoDir, object.filename);
  const name = wellKnown[object.name];
  if (name === undefined) throw new Error(`no file is known for ${object.fullName}`);
  return `google/protobuf/${name}.proto`;
}

async function dependenciesOf(protoDir, name) {
  if (name.startsWith('google/protobuf/')) return [];
  const text = await readFile(path.join(protoDir, name), 'utf8');
  return [...text.matchAll(/^import "([^"]+)";$/gm)].map(([, file]) => file);
}

/** Full names of the objects, and of all that is in them. */
function symbolsOf(objects) {
  return objects.flatMap((object) => [
    object.fullName.slice(1),
    ...(object.methodsArray ?? []).map((method) => `${object.fullName.slice(1)}.${method.name}`),
    ...(object instanceof protobuf.Type ? symbolsOf(object.nestedArray) : []),
  ]);
}
