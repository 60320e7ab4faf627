export { closeInheritedOnExec, setCloseOnExec } from './close-on-exec.ts';
export { maxSocketPathLength, sendDatagram } from './datagram.ts';
export { openFifoForChild, openFifoReader, openFifoWriter } from './fifo.ts';
export { FileLock, FileLockedError, lockFile } from './file-lock.ts';
export { mkfifo } from './mkfifo.ts';
export { conventionalNofileSoft, type NofileLimit, nofileLimit, setNofileSoft, withNofileSoft } from './nofile.ts';
export { descriptorOf, type PeerCredentials, peerCredentials, peerOfSocket } from './peer-credentials.ts';
export { reapChild } from './reap-child.ts';
export { SystemError } from './system-error.ts';
