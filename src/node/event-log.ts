import type { NodeEvent } from "./supervisor-messages.ts";

/** Events that are kept. */
const EVENTS_KEPT = 256;

/** The last events of a node, and one line of JSON on stderr for each new one. */
export class EventLog {
  readonly #events: NodeEvent[];
  readonly #write: (line: string) => void;
  readonly #onAdd: (event: NodeEvent) => void;

  /**
   * @param earlier Events from before, which are not written again.
   * @param onAdd Told of every new event.
   */
  constructor(
    earlier: readonly NodeEvent[] = [],
    onAdd: (event: NodeEvent) => void = () => undefined,
    write: (line: string) => void = (line) => process.stderr.write(line),
  ) {
    this.#events = earlier.slice(-EVENTS_KEPT);
    this.#onAdd = onAdd;
    this.#write = write;
  }

  /** Oldest first. */
  get events(): readonly NodeEvent[] {
    return this.#events;
  }

  /** Keeps and writes an event of this process. Fields never hold secrets. */
  add(event: string, fields: Readonly<Record<string, string | number | boolean | undefined>> = {}): void {
    const row: NodeEvent = { timeMs: Date.now(), event, ...fields };
    this.keep(row);
    this.#onAdd(row);
    this.#write(`${JSON.stringify(row)}\n`);
  }

  /** Keeps an event that another process has written. */
  keep(event: NodeEvent): void {
    this.#events.push(event);
    if (this.#events.length > EVENTS_KEPT) this.#events.shift();
  }
}
