import { Client, credentials, status } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import descriptors from 'protobufjs/ext/descriptor.js';
import { describe, expect, test } from 'vitest';
import { grpc } from '../../../src/shared/proto/gen/reflection.js';
import { serve } from './fixture.ts';

const { ServerReflectionRequest, ServerReflectionResponse } = grpc.reflection.v1;
type Question = grpc.reflection.v1.ServerReflectionRequest.$Properties;
type Answer = InstanceType<typeof ServerReflectionResponse>;

const encode = (question: Question) => Buffer.from(ServerReflectionRequest.encode(question).finish());

interface DescribedMessage {
  readonly name: string;
  readonly field: readonly { readonly name: string; readonly oneofIndex?: number }[];
  readonly nestedType: readonly { readonly name: string; readonly options?: { readonly mapEntry?: boolean } }[];
  readonly oneofDecl: readonly { readonly name: string }[];
}

/** The first file of an answer. */
function fileOf(answer: Answer): { readonly messageType: readonly DescribedMessage[] } {
  const bytes = answer.fileDescriptorResponse?.fileDescriptorProto?.[0] ?? new Uint8Array();
  const file: unknown = descriptors.FileDescriptorProto.decode(bytes);
  return file as { messageType: DescribedMessage[] };
}

/** Asks several questions on one stream; answers what came, or throws what ended it. */
function ask(address: string, questions: readonly Buffer[], version = 'v1'): Promise<Answer[]> {
  const client = new Client(`unix:${address}`, credentials.createInsecure());
  const call = client.makeBidiStreamRequest(
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => ServerReflectionResponse.decode(bytes),
  );
  const answers: Answer[] = [];
  return new Promise<Answer[]>((resolve, reject) => {
    call.on('data', (answer: Answer) => answers.push(answer));
    call.on('end', () => resolve(answers));
    call.on('error', reject);
    for (const question of questions) call.write(question);
    call.end();
  }).finally(() => client.close());
}

describe('reflection', () => {
  test.each(['v1', 'v1alpha'])('%s lists what is served', async (version) => {
    const { address } = await serve();
    const [answer] = await ask(address, [encode({ listServices: '' })], version);
    expect(answer?.listServicesResponse?.service?.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'containerd.services.containers.v1.Containers',
        'containerd.services.tasks.v1.Tasks',
        'grpc.health.v1.Health',
        'grpc.reflection.v1.ServerReflection',
        'shimd.v1.Admin',
      ]),
    );
  });

  test('describes every service that it lists so that its calls can be made', async () => {
    const { address } = await serve();
    const [list] = await ask(address, [encode({ listServices: '*' })]);
    const names = (list?.listServicesResponse?.service ?? []).map(({ name }) => name ?? '');
    const answers = await ask(
      address,
      names.map((name) => encode({ fileContainingSymbol: name })),
    );
    expect(answers).toHaveLength(names.length);
    for (const [i, name] of names.entries()) {
      const files = answers[i]?.fileDescriptorResponse?.fileDescriptorProto ?? [];
      const file = files.map((bytes) => descriptors.FileDescriptorProto.decode(bytes));
      const known = new Set(file.map((one) => one.name));
      for (const one of file) for (const needed of one.dependency ?? []) expect(known).toContain(needed);
      const set = descriptors.FileDescriptorSet.encode({ file }).finish();
      const root = protobuf.Root.fromDescriptor(set);
      root.resolveAll();
      const service = root.lookupService(name);
      expect(service.methodsArray.length).toBeGreaterThan(0);
      for (const method of service.methodsArray) expect(method.resolvedRequestType).toBeDefined();
    }
  });

  test('describes messages as they are on the wire: maps, oneofs, enums and nested ones', async () => {
    const { address } = await serve();
    const questions = [
      'containerd.services.containers.v1.Container',
      'containerd.v1.types.Status',
      'shimd.v1.EventsRequest',
      'containerd.services.tasks.v1.Tasks.Create',
      'containerd.services.containers.v1.Container.Runtime',
    ];
    const answers = await ask(
      address,
      questions.map((symbol) => encode({ fileContainingSymbol: symbol })),
    );
    const [containers, , admin] = answers.map((answer) => fileOf(answer));
    for (const answer of answers) expect(answer.errorResponse).toBeNull();
    const container = containers?.messageType?.find(({ name }) => name === 'Container');
    expect(container?.field?.find(({ name }) => name === 'labels')).toMatchObject({
      label: 3,
      typeName: '.containerd.services.containers.v1.Container.LabelsEntry',
    });
    expect(container?.nestedType?.find(({ name }) => name === 'LabelsEntry')?.options?.mapEntry).toBe(true);
    const events = admin?.messageType?.find(({ name }) => name === 'EventsRequest');
    expect(events?.oneofDecl?.map(({ name }) => name)).toEqual(['from']);
    expect(events?.field.filter((field) => Object.hasOwn(field, 'oneofIndex')).length).toBeGreaterThan(2);
  });

  test('answers what is not there with NOT_FOUND, and goes on', async () => {
    const { address } = await serve();
    const answers = await ask(address, [
      encode({ fileContainingSymbol: 'no.such.Thing' }),
      encode({ fileByFilename: '../../../../etc/passwd' }),
      encode({ fileContainingExtension: { containingType: 'a', extensionNumber: 1 } }),
      encode({}),
      encode({ fileByFilename: 'containerd/types.proto' }),
    ]);
    expect(answers.map(({ errorResponse }) => errorResponse?.errorCode)).toEqual([
      status.NOT_FOUND,
      status.NOT_FOUND,
      status.NOT_FOUND,
      status.INVALID_ARGUMENT,
      undefined,
    ]);
  });

  test('refuses bytes that are no question', async () => {
    const { address } = await serve();
    await expect(ask(address, [Buffer.from([0xff, 0xff, 0xff])])).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
  });

  test('ends with the server', async () => {
    const { address, server } = await serve();
    const client = new Client(`unix:${address}`, credentials.createInsecure());
    const call = client.makeBidiStreamRequest(
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
    );
    const ended = new Promise<unknown>((resolve) => call.on('error', resolve));
    const answered = new Promise((resolve) => call.once('data', resolve));
    call.write(encode({ listServices: '' }));
    await answered;
    await server.close({ grace: 5000 });
    expect(await ended).toMatchObject({ code: status.UNAVAILABLE });
    client.close();
  });
});
