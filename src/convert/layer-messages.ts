import type { TaskFailure } from "../codec/task-failure.ts";
import type { ChunkBatch, CutterOptions } from "./chunk-cutter.ts";
import type { PackedEntries } from "./packed-entries.ts";
import type { ScannedLayer } from "./scan-layer.ts";
import type { LayerWarning } from "./xattrs.ts";

/** What a layer thread starts with. */
export interface LayerThreadOptions extends CutterOptions {
  /** Buffers for batches, and bytes of each. */
  readonly bufferCount: number;
  readonly bufferSize: number;
}

/** What a layer thread is told; `buffer` moves there. */
export type ToLayerThread =
  /** A layer comes. */
  | { readonly kind: "layer" }
  /** Its stored bytes, at the start of a buffer that comes back. */
  | { readonly kind: "stored"; readonly buffer: Uint8Array<ArrayBuffer>; readonly size: number }
  /** There are no more, and they were the right ones. */
  | { readonly kind: "end" }
  /** A batch is stored, its buffer free. */
  | { readonly kind: "free"; readonly buffer: Uint8Array<ArrayBuffer> };

/** What a layer thread tells; buffers move here. */
export type FromLayerThread =
  /** Stored bytes were used, their buffer is free. */
  | { readonly kind: "used"; readonly buffer: Uint8Array<ArrayBuffer> }
  | { readonly kind: "batch"; readonly batch: ChunkBatch }
  | { readonly kind: "entries"; readonly entries: PackedEntries }
  | { readonly kind: "warning"; readonly warning: LayerWarning }
  | { readonly kind: "scanned"; readonly layer: ScannedLayer }
  | { readonly kind: "failed"; readonly failure: TaskFailure };
