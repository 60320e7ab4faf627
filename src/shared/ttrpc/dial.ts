import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { deadlineExceeded, isErrnoException, TaskError, unavailable } from '../errors/index.ts';
import { remaining } from '../util/deadline.ts';

/** Milliseconds before a server whose queue of connections is full is tried again. */
const retryAfter = 20;

/**
 * Connects to a unix socket. Throws UNAVAILABLE at once where nothing listens there, DEADLINE_EXCEEDED where a server
 * that exists does not take the connection in time: only the first one is a death.
 */
export async function dial(path: string, deadline: number): Promise<Socket> {
  for (;;) {
    try {
      return await dialOnce(path, deadline);
    } catch (error) {
      if (!isErrnoException(error)) throw error;
      if (error.code !== 'EAGAIN') throw refused(path, error);
    }
    if (remaining(deadline) <= retryAfter) throw tooLate(path);
    await delay(retryAfter);
  }
}

function dialOnce(path: string, deadline: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    const settle = () => {
      clearTimeout(timer);
      socket.off('connect', onConnect);
      socket.off('error', onError);
    };
    const onConnect = () => {
      settle();
      resolve(socket);
    };
    const onError = (error: Error) => {
      settle();
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => onError(tooLate(path)), Math.min(remaining(deadline), 0x7fff_ffff));
    socket.on('connect', onConnect);
    socket.on('error', onError);
  });
}

function tooLate(path: string): TaskError {
  return deadlineExceeded(`connect to ${path}: the server takes no connection in time: deadline exceeded`);
}

/** Clients match on the system's own words for ENOENT, which mean something else to them: they stay in the cause. */
function refused(path: string, error: Error & { readonly code: string }): TaskError {
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return unavailable(`connect to ${path}: there is no socket`, error);
    case 'ECONNREFUSED':
      return unavailable(`connect to ${path}: connection refused`, error);
    case 'EACCES':
    case 'EPERM':
      return new TaskError('PERMISSION_DENIED', `connect to ${path}: permission denied`, { cause: error });
    default:
      return unavailable(`connect to ${path}: ${error.message}`, error);
  }
}
