import { EVENTS, type EventName } from "../telemetry/events.ts";
import { redactText } from "../telemetry/redact-text.ts";
import type { NodeEvent } from "./supervisor-messages.ts";

/** Events that are kept. */
const EVENTS_KEPT = 256;

/** Failures of one kind that are told in one stretch of time: a registry that is gone fails thousands of reads. */
const MAX_FAILURES = 20;
const FAILURES_MS = 10_000;

/** An event of this version's table. */
type NamedEvent = NodeEvent & { readonly event: EventName };

/** The last events of a node, and one line of JSON on stderr for each new one. */
export class EventLog {
  readonly #events: NodeEvent[];
  readonly #write: (event: NamedEvent) => void;
  readonly #onAdd: (event: NodeEvent) => void;
  /** By event: since when it was counted, how often, and how often it was not told. */
  readonly #failures = new Map<string, { startMs: number; count: number; untold: number }>();

  /**
   * @param earlier Events from before, which are not written again.
   * @param onAdd Told of every new event.
   * @param write Writes one down. A supervisor does without a library for it.
   */
  constructor(
    earlier: readonly NodeEvent[] = [],
    onAdd: (event: NodeEvent) => void = () => undefined,
    write: (event: NamedEvent) => void = writeLine,
  ) {
    this.#events = earlier.slice(-EVENTS_KEPT);
    this.#onAdd = onAdd;
    this.#write = write;
  }

  /** Oldest first. */
  get events(): readonly NodeEvent[] {
    return this.#events;
  }

  /**
   * Keeps and writes an event of this process. Fields never hold secrets; what looks like one is taken out. Of what fails again and again (`….failed`) at
   * most 20 in 10 s are told; the next one says how many were not.
   */
  add(event: EventName, fields: Readonly<Record<string, string | number | boolean | undefined>> = {}): void {
    const untold = event.endsWith(".failed") ? this.#countFailure(event) : 0;
    if (untold === undefined) return;
    const cleaned = Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === "string" ? redactText(value) : value,
    ]);
    const row = {
      timeMs: Date.now(),
      event,
      ...Object.fromEntries(cleaned),
      ...(untold > 0 && { untold }),
    } satisfies NodeEvent;
    this.keep(row);
    this.#onAdd(row);
    this.#write(row);
  }

  /** How many were not told before this one; undefined when this one is not told either. */
  #countFailure(event: string): number | undefined {
    const now = performance.now();
    let failures = this.#failures.get(event);
    if (failures === undefined || now - failures.startMs > FAILURES_MS) {
      const untold = failures?.untold ?? 0;
      failures = { startMs: now, count: 1, untold: 0 };
      this.#failures.set(event, failures);
      return untold;
    }
    if (++failures.count <= MAX_FAILURES) return 0;
    failures.untold++;
    return undefined;
  }

  /** Keeps an event that another process has written. */
  keep(event: NodeEvent): void {
    this.#events.push(event);
    if (this.#events.length > EVENTS_KEPT) this.#events.shift();
  }
}

function writeLine(event: NamedEvent): void {
  process.stderr.write(`${JSON.stringify({ level: EVENTS[event.event].level, ...event })}\n`);
}
