import type { Digest } from "../base/digest.ts";
import type { BufferPool } from "../codec/buffer-pool.ts";
import { decompressLayer } from "../codec/layer-stream.ts";
import { type ChunkBatch, ChunkCutter, type CutChunks, type CutterOptions } from "./chunk-cutter.ts";
import { DigestTap } from "./digest-tap.ts";
import { type LayerItem, readLayer } from "./layer-reader.ts";
import { EntryPacker, type PackedEntries } from "./packed-entries.ts";
import type { LayerWarning } from "./xattrs.ts";

/** Takes what a scan finds, as it finds it. */
export interface ScanReceiver {
  /** Chunks to store. */
  readonly onBatch: (batch: ChunkBatch) => void;
  readonly onEntries: (entries: PackedEntries) => void;
  /** Something of the layer that an image cannot hold was left out. */
  readonly onWarning: (warning: LayerWarning) => void;
}

/** How to scan, and with what. */
export interface ScanOptions extends CutterOptions {
  /** Where batches come from, and go back to when they are stored. */
  readonly buffers: BufferPool;
  readonly signal: AbortSignal;
}

/** A tar layer that was scanned. */
export interface ScannedLayer extends CutChunks {
  /** Digest of the uncompressed bytes. */
  readonly diffId: Digest;
}

/**
 * Reads a layer of an image to its end: decompresses it, takes its diff id, and hands out its entries and chunks.
 *
 * @param stored The bytes as they are stored. A piece is used until the second one after it is asked for.
 * @throws {CodedError} ERR_LAYER_INVALID, ERR_FEATURE_UNSUPPORTED, ERR_LIMIT_EXCEEDED, ERR_CODEC_MISSING, ERR_ABORTED.
 */
export async function scanTar(
  stored: AsyncIterable<Uint8Array>,
  receiver: ScanReceiver,
  options: ScanOptions,
): Promise<ScannedLayer> {
  const tap = new DigestTap(decompressLayer(stored));
  try {
    const chunks = await scanItems(readLayer(tap, receiver), receiver, options);
    return { ...chunks, diffId: await tap.finish() };
  } finally {
    await tap.close();
  }
}

/** As {@link scanTar}, for what was read already. */
export async function scanItems(
  items: AsyncIterable<LayerItem>,
  receiver: ScanReceiver,
  options: ScanOptions,
): Promise<CutChunks> {
  const { buffers, signal } = options;
  const cutter = new ChunkCutter(buffers, options, receiver.onBatch, signal);
  const packer = new EntryPacker(receiver.onEntries);
  for await (const { entry, content } of items) {
    const isFile = entry.type === "file" && content !== undefined;
    packer.add(entry, isFile ? await cutter.cut(content, entry.size) : []);
  }
  packer.finish();
  return cutter.finish();
}
