import type { SharedBlob } from "./mount-blob.ts";

/** What the main thread and the workers of one FUSE connection share without messages. */
export interface SessionControl {
  /** Raised when a blob was added: the workers then look into their ports. */
  readonly generation: Int32Array;
  /** Not 0 when the workers shall leave. */
  readonly closing: Int32Array;
  /** By worker: the `unique` of the request being answered, 0 for none. */
  readonly current: Float64Array;
  /** By worker and counter: see {@link COUNTERS}. */
  readonly counters: Float64Array;
  /** By worker: when its first READ came, in milliseconds since 1970 by the steady clock; 0 for none. */
  readonly firstReads: Float64Array;
}

/** What the workers count, in the order of their columns. */
export const COUNTERS = ["requests", "reads", "readBytes", "misses"] as const;

/** Sums over the life of a connection. */
export interface SessionCounts extends Readonly<Record<(typeof COUNTERS)[number], number>> {
  /** Milliseconds from the start of the process to the first READ; absent before it. */
  readonly firstReadAfterMs?: number;
}

/** What a worker is started with. */
export interface WorkerStart {
  readonly index: number;
  /** The connection: /dev/fuse after mount(2) and INIT. */
  readonly fd: number;
  readonly bootstrap: Uint8Array;
  readonly blobs: readonly (SharedBlob | undefined)[];
  readonly control: SessionControl;
}

/** A message to a worker: a blob whose ready chunks it may read from now on. */
export interface BlobAdded {
  readonly blobIndex: number;
  readonly blob: SharedBlob;
}

/** Makes the shared memory for `workers` workers. */
export function newSessionControl(workers: number): SessionControl {
  return {
    generation: new Int32Array(new SharedArrayBuffer(4)),
    closing: new Int32Array(new SharedArrayBuffer(4)),
    current: new Float64Array(new SharedArrayBuffer(8 * workers)),
    counters: new Float64Array(new SharedArrayBuffer(8 * workers * COUNTERS.length)),
    firstReads: new Float64Array(new SharedArrayBuffer(8 * workers)),
  };
}

/** Adds up what all workers counted. */
export function sumCounters(control: SessionControl): SessionCounts {
  const sums = COUNTERS.map((_, column) =>
    control.counters.reduce((sum, value, at) => (at % COUNTERS.length === column ? sum + value : sum), 0),
  );
  const counts = Object.fromEntries(COUNTERS.map((name, column) => [name, sums[column] ?? 0]));
  const firstRead = Math.min(...control.firstReads.filter((time) => time > 0));
  return {
    ...(counts as Record<(typeof COUNTERS)[number], number>),
    ...(firstRead < Infinity && { firstReadAfterMs: firstRead - performance.timeOrigin }),
  };
}
