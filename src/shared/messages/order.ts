/** What the supervisor tells a thread outside of its operations: to end at once, with nothing finished or undone. */
export interface Order {
  readonly kind: 'stop';
}
