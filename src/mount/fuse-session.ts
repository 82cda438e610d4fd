import type { InterruptedRequest, MissedRead } from "./fuse-handler.ts";
import type { SharedImage } from "./image-files.ts";
import type { SharedBlob } from "./mount-blob.ts";
import type { RootKind } from "./superblock.ts";

/** What the main thread and the workers of one FUSE connection share without messages. */
export interface SessionControl {
  /** Raised when there are messages: the workers then look into their ports. */
  readonly generation: Int32Array;
  /** One of {@link ENDINGS}. */
  readonly ending: Int32Array;
  /** By worker: the `generation` up to which it has read its messages. */
  readonly seen: Int32Array;
  /** By worker: 1 while it answers a request, 0 while it waits for one. */
  readonly busy: Int32Array;
  /** By worker: its thread, where it can be woken; 0 when it is gone. */
  readonly threads: Int32Array;
  /** By worker: the `unique` of the request being answered, 0 for none. */
  readonly current: Float64Array;
  /** By worker and counter: see {@link COUNTERS}. */
  readonly counters: Float64Array;
  /** By worker: when its first READ came, in milliseconds since 1970 by the steady clock; 0 for none. */
  readonly firstReads: Float64Array;
}

/** Whether and how the workers shall leave. */
export const ENDINGS = {
  none: 0,
  /** Before their next request, which is for a successor. */
  leave: 1,
  /** After refusing the next request, if one comes: the mount goes. */
  close: 2,
} as const;

/**
 * What the workers count, in the order of their columns. `misses` are READs left to the main thread, `resent` requests
 * that a predecessor took and did not answer.
 */
export const COUNTERS = ["requests", "reads", "readBytes", "misses", "resent"] as const;

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
  readonly root: RootKind;
  readonly images: readonly SharedImage[];
  readonly control: SessionControl;
}

/** A message to a worker. */
export type ToWorker =
  | { readonly type: "image-added"; readonly image: SharedImage }
  | { readonly type: "image-removed"; readonly number: number }
  /** A blob whose ready chunks it may read from now on. */
  | {
      readonly type: "blob-opened";
      readonly number: number;
      readonly blobIndex: number;
      readonly blob: SharedBlob;
    };

/** A message from a worker: what it could not do itself. */
export type FromWorker = MissedRead | InterruptedRequest;

/** Makes the shared memory for `workers` workers. */
export function newSessionControl(workers: number): SessionControl {
  return {
    generation: new Int32Array(new SharedArrayBuffer(4)),
    ending: new Int32Array(new SharedArrayBuffer(4)),
    seen: new Int32Array(new SharedArrayBuffer(4 * workers)),
    busy: new Int32Array(new SharedArrayBuffer(4 * workers)),
    threads: new Int32Array(new SharedArrayBuffer(4 * workers)),
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
