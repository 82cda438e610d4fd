import { type NodeState, writeState } from "./state-file.ts";

/** Keeps a state file as new as the state. Those who come while it is written share the next write. */
export class StateWriter {
  readonly #path: string;
  readonly #stateNow: () => NodeState;
  #writing: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  /** @param stateNow Gives the state to be written; called when the write begins. */
  constructor(path: string, stateNow: () => NodeState) {
    this.#path = path;
    this.#stateNow = stateNow;
  }

  /**
   * Returns when the state of this moment, or a later one, is on the disk.
   *
   * @throws {CodedError} ERR_TARGET_IO.
   */
  save(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    const write = (): Promise<void> => {
      this.#next = undefined;
      return writeState(this.#path, this.#stateNow());
    };
    this.#next = this.#writing.then(write, write);
    this.#writing = this.#next;
    return this.#next;
  }
}
