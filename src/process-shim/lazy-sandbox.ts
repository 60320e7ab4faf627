import type { Logger } from '../shared/log/logger.ts';
import type { MethodHandler, ServiceTable } from '../shared/ttrpc/index.ts';
import type { Memberships } from './memberships.ts';
import type { SandboxService } from './sandbox-service.ts';

const service = 'containerd.runtime.sandbox.v1.Sandbox';
const methods = ['CreateSandbox', 'StartSandbox', 'Platform', 'StopSandbox', 'WaitSandbox', 'SandboxStatus'].concat([
  'PingSandbox',
  'ShutdownSandbox',
  'SandboxMetrics',
]);

interface Loaded {
  readonly sandboxes: SandboxService;
  readonly handlers: Readonly<Record<string, MethodHandler>>;
}

/** The sandbox API, loaded with its first call: most shims never have one, and there may be many. */
export class LazySandbox {
  readonly #load: () => Promise<Loaded>;
  #loading: Promise<Loaded> | undefined;
  #loaded: Loaded | undefined;

  constructor(options: { readonly memberships: Memberships; readonly logger: Logger }) {
    this.#load = async () => {
      const [{ SandboxService: Service }, { sandboxServices }] = await Promise.all([
        import('./sandbox-service.ts'),
        import('./sandbox-table.ts'),
      ]);
      const sandboxes = new Service(options);
      this.#loaded = { sandboxes, handlers: sandboxServices(sandboxes)[service] ?? {} };
      return this.#loaded;
    };
  }

  get isNeeded(): boolean {
    return this.#loaded?.sandboxes.isNeeded ?? false;
  }

  get services(): ServiceTable {
    return { [service]: Object.fromEntries(methods.map((name) => [name, this.#handler(name)])) };
  }

  #handler(name: string): MethodHandler {
    return {
      kind: 'unary',
      handle: async (payload, context) => {
        this.#loading ??= this.#load();
        const { handlers } = await this.#loading;
        const handler = handlers[name];
        if (handler?.kind !== 'unary') throw new Error(`no method ${name}`);
        return handler.handle(payload, context);
      },
    };
  }
}
