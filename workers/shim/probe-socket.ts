import { connect } from 'node:net';
import { deadlineExceeded, unavailable } from '../../src/shared/errors/index.ts';
import { until } from '../../src/shared/util/deadline.ts';

/**
 * Resolves where something accepts connections at the path. Throws UNAVAILABLE where it is refused or there is no
 * socket, DEADLINE_EXCEEDED where the listener's backlog is full until `deadline`.
 */
export async function probeSocket(path: string, deadline: number): Promise<void> {
  const socket = connect(path);
  const opened = new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EAGAIN'
          ? deadlineExceeded(`the listener at ${path} takes no connections: deadline exceeded`)
          : unavailable(`nothing listens at ${path}: ${error.code ?? error.message}`, error),
      ),
    );
  });
  try {
    await until(opened, { deadline, doing: `connecting to ${path}` });
  } finally {
    socket.destroy();
  }
}
