/** How one unary method is called: its full service name, its bare name, and the codecs of its messages. */
export interface UnaryMethod<Req, Res> {
  readonly service: string;
  readonly name: string;
  encode(request: Req): Uint8Array;
  decode(bytes: Uint8Array): Res;
}

/** A method of which at least one side sends any number of messages. */
export interface StreamMethod<Req, Res> extends UnaryMethod<Req, Res> {
  readonly clientStreams: boolean;
  readonly serverStreams: boolean;
}

/** `containerd.task.v3.Task/Create` */
export function methodPath(method: { readonly service: string; readonly name: string }): string {
  return `${method.service}/${method.name}`;
}
