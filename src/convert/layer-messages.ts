import type { TaskFailure } from "../codec/task-failure.ts";
import type { Blob } from "../image/chunk.ts";
import type { ChunkBatch } from "./chunk-cutter.ts";
import type { ChunkColumns, LayerTreeOptions } from "./layer-tree.ts";
import type { PackedEntries } from "./packed-entries.ts";
import type { ReadBackBlob } from "./read-back-blob.ts";
import type { ScannedLayer } from "./scan-layer.ts";
import type { LayerWarning } from "./xattrs.ts";

/** What a layer thread starts with. */
export interface LayerThreadOptions extends LayerTreeOptions {
  /** Buffers for batches, and bytes of each. */
  readonly bufferCount: number;
  readonly bufferSize: number;
}

/** What a layer thread is asked; each is answered once, or with "failed". */
export type LayerRequest =
  /** Scan a layer whose stored bytes follow. Answered with "scanned". */
  | { readonly kind: "layer" }
  | { readonly kind: "encode"; readonly columns: ChunkColumns; readonly blob: Blob | undefined }
  | {
      readonly kind: "verify";
      readonly what: string;
      readonly readBack: ReadBackBlob;
      readonly blobId: string;
    }
  | { readonly kind: "take" };

/** What a layer thread is told beside; `buffer` moves there. */
export type LayerSupply =
  /** Stored bytes of the layer, at the start of a buffer that comes back. */
  | { readonly kind: "stored"; readonly buffer: Uint8Array<ArrayBuffer>; readonly size: number }
  /** There are no more, and they were the right ones. */
  | { readonly kind: "end" }
  /** A batch is stored, its buffer free. */
  | { readonly kind: "free"; readonly buffer: Uint8Array<ArrayBuffer> };

export type LayerAnswer =
  | { readonly kind: "scanned"; readonly layer: ScannedLayer }
  | { readonly kind: "encoded"; readonly bootstrap: Uint8Array }
  | { readonly kind: "verified" }
  | { readonly kind: "entries"; readonly packs: PackedEntries[] }
  | { readonly kind: "failed"; readonly failure: TaskFailure };

/** What a layer thread tells while it scans; buffers move. */
export type LayerNews =
  /** Stored bytes were used, their buffer is free. */
  | { readonly kind: "used"; readonly buffer: Uint8Array<ArrayBuffer> }
  | { readonly kind: "batch"; readonly batch: ChunkBatch }
  | { readonly kind: "warning"; readonly warning: LayerWarning };
