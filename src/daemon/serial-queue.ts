/** Runs works of one key one after the other, in the order in which they came; works of different keys go on together. */
export class SerialQueue {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs a work when those of its key that came before have settled. */
  run<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const running = before.then(work, work);
    this.#last.set(key, running);
    const forget = (): void => {
      if (this.#last.get(key) === running) this.#last.delete(key);
    };
    running.then(forget, forget);
    return running;
  }
}
