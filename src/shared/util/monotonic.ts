/** Now, by the clock that all threads of a process share and that nobody sets, in milliseconds. */
export function monotonicNow(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
