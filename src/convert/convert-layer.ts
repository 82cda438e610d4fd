import { throwIfAborted } from "../base/abort.ts";
import type { Digest } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import { decompressLayer } from "../codec/layer-stream.ts";
import type { Descriptor } from "../format/oci/descriptor.ts";
import { writeBootstrap } from "../image/bootstrap-writer.ts";
import type { Blob } from "../image/chunk.ts";
import type { LayerEntry } from "../image/layer-entry.ts";
import { buildLayerTree } from "../image/overlay.ts";
import type { Directory } from "../image/tree.ts";
import type { ImageSource } from "../store/image-source.ts";
import { type BlobFile, BlobWriter } from "./blob-writer.ts";
import type { ChunkBatch, CutChunks } from "./chunk-cutter.ts";
import type { ChunkLanes } from "./chunk-lanes.ts";
import { ChunkPipeline } from "./chunk-pipeline.ts";
import type { CheckedConvertOptions } from "./convert-options.ts";
import { DigestTap } from "./digest-tap.ts";
import { type DirectoryReaderOptions, readDirectory } from "./directory-reader.ts";
import { type LayerItem, readLayer } from "./layer-reader.ts";
import type { LayerReceiver } from "./layer-thread.ts";
import { type PackedEntries, unpackEntries } from "./packed-entries.ts";
import { scanItems } from "./scan-layer.ts";
import type { LayerWarning } from "./xattrs.ts";

/** A layer as it comes from its source. */
export interface LayerInput {
  /** Names the layer in messages. */
  readonly name: string;
  /** Opens the layer to read it in this thread. */
  readonly open: (signal: AbortSignal) => OpenLayer;
  /** Reads the layer for a conversion, in a thread where that pays, and checks that it is the promised one. */
  readonly scan: (lanes: ChunkLanes, receiver: ScanTarget, signal: AbortSignal) => Promise<CutChunks>;
}

/** A layer that is being read. */
export interface OpenLayer extends AsyncDisposable {
  readonly items: AsyncIterable<LayerItem>;
  /** Called when every item was read: checks that the bytes were the promised ones. */
  readonly finish: () => Promise<void>;
}

/** Takes what a layer has. */
export type ScanTarget = Pick<LayerReceiver, "store" | "onEntries">;

/** A layer that became a blob. */
export interface ConvertedLayer {
  /** In the order of the layer, made anew each time they are walked; every chunk's `blobIndex` is 0. */
  readonly entries: Iterable<LayerEntry>;
  /** The layer alone, as its own bootstrap shows it. */
  readonly tree: Directory;
  readonly file: BlobFile;
}

/** Follows a layer while it is read. */
export interface LayerWatch {
  /** Stored bytes of the layer read so far. */
  readonly onRead: (size: number) => void;
  /** Milliseconds spent waiting for the source. */
  readonly onWait: (milliseconds: number) => void;
  /** Something of the layer that an image cannot hold was left out. */
  readonly onWarning: (warning: LayerWarning) => void;
}

/**
 * A layer of an image: its stored bytes must match the descriptor, the uncompressed ones the diff id.
 *
 * `finish` and `scan` throw ERR_DIGEST_MISMATCH when they do not.
 */
export function tarLayer(
  source: ImageSource,
  descriptor: Descriptor,
  diffId: Digest,
  watch: LayerWatch,
): LayerInput {
  const open = (signal: AbortSignal): AsyncIterable<Uint8Array> =>
    metered(source.openBlob(descriptor, { signal }), watch);
  const checkDiffId = (actual: Digest): void => {
    if (actual === diffId) return;
    throw new CodedError(
      "ERR_DIGEST_MISMATCH",
      `layer ${descriptor.digest} has diff id ${actual}, its image's configuration says ${diffId}`,
    );
  };
  return {
    name: `layer ${descriptor.digest}`,
    open: (signal) => {
      const tap = new DigestTap(decompressLayer(open(signal)));
      return {
        items: readLayer(tap, watch),
        finish: async () => checkDiffId(await tap.finish()),
        [Symbol.asyncDispose]: () => tap.close(),
      };
    },
    scan: (lanes, { store, onEntries }, signal) =>
      lanes.withLayerThread(async (thread) => {
        const receiver = { store, onEntries, onWarning: watch.onWarning };
        const scanned = await thread.scan(open, receiver, signal);
        checkDiffId(scanned.diffId);
        return scanned;
      }),
  };
}

/** A directory as the one layer of an image. */
export function directoryLayer(
  path: string,
  watch: LayerWatch,
  readXattrs: DirectoryReaderOptions["readXattrs"],
): LayerInput {
  const { onWarning } = watch;
  const items = (): AsyncIterable<LayerItem> =>
    readDirectory(path, { onWarning, ...(readXattrs !== undefined && { readXattrs }) });
  return {
    name: `directory ${path}`,
    open: () => ({
      items: items(),
      finish: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
    scan: async (lanes, { store, onEntries }, signal) => {
      const stop = new AbortController();
      const buffers = lanes.newBuffers();
      const failed = (error: unknown): void => stop.abort(error);
      const onBatch = (batch: ChunkBatch): void => {
        store(batch).then((buffer) => buffers.give(buffer), failed);
      };
      const either = AbortSignal.any([signal, stop.signal]);
      try {
        const options = { ...lanes.cutting, buffers, signal: either };
        return await scanItems(items(), { onBatch, onEntries, onWarning }, options);
      } catch (error) {
        // What stopped this layer is the news, not that it was stopped.
        throw stop.signal.aborted ? stop.signal.reason : error;
      }
    },
  };
}

/**
 * Converts one layer to a blob file at `path`.
 *
 * The layer streams through: memory holds its names and its chunk table, not its bytes.
 *
 * @param lanes Made for the same chunk size.
 * @throws {CodedError} ERR_DIGEST_MISMATCH, ERR_LAYER_INVALID, ERR_LIMIT_EXCEEDED, ERR_TARGET_IO,
 *   ERR_ABORTED, ERR_WORKER_FAILED, and what the source throws.
 */
export async function convertLayer(
  input: LayerInput,
  path: string,
  lanes: ChunkLanes,
  options: CheckedConvertOptions,
  signal: AbortSignal,
): Promise<ConvertedLayer> {
  const { compressor, compressionLevel: level, digester, chunkSize } = options;
  await using writer = await BlobWriter.create(path, { compressor, level, digester, chunkSize });
  await using pipeline = new ChunkPipeline(writer, lanes.workers, options);
  const packs: PackedEntries[] = [];
  const receiver: ScanTarget = {
    store: (batch) => pipeline.store(batch),
    onEntries: (packed) => packs.push(packed),
  };
  const cut = await input.scan(lanes, receiver, signal);
  await pipeline.finish();
  throwIfAborted(signal);
  const entries = unpackEntries(packs, writer.chunks(cut.digests));
  const tree = buildLayerTree(entries);
  const file = await writer.finish(cut, (blob) => encodeLayerBootstrap(tree, blob, options));
  return { entries, tree, file };
}

function encodeLayerBootstrap(
  root: Directory,
  blob: Blob | undefined,
  { chunkSize, compressor, digester }: CheckedConvertOptions,
): Uint8Array {
  const blobs = blob === undefined ? [] : [blob];
  const image = { root, blobs, chunkSize, compressor, digester, prefetch: [] };
  return writeBootstrap(image, blob === undefined ? {} : { inlineBlobIndex: 0 }).bytes;
}

async function* metered(
  pieces: AsyncIterable<Uint8Array>,
  watch: LayerWatch,
): AsyncGenerator<Uint8Array, void, undefined> {
  let start = performance.now();
  for await (const piece of pieces) {
    watch.onWait(performance.now() - start);
    watch.onRead(piece.length);
    yield piece;
    start = performance.now();
  }
}
