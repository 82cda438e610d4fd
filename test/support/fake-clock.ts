import type { Clock } from "#src/net/clock.js";

/** A clock that does not wait, and remembers for how long it should have. */
export class FakeClock implements Clock {
  readonly sleeps: number[] = [];
  time = 0;
  now(): number {
    return this.time;
  }
  async sleep(milliseconds: number): Promise<void> {
    this.sleeps.push(milliseconds);
    this.time += milliseconds;
  }
}
