import { type Digest, digestHex } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import { decompressLayer } from "../codec/layer-stream.ts";
import type { Descriptor } from "../format/oci/descriptor.ts";
import type { LayerEntry } from "../image/layer-entry.ts";
import type { ImageSource } from "../store/image-source.ts";
import { type BlobFile, BlobWriter } from "./blob-writer.ts";
import type { ChunkBatch, CutChunks } from "./chunk-cutter.ts";
import type { ChunkLanes } from "./chunk-lanes.ts";
import { ChunkPipeline } from "./chunk-pipeline.ts";
import type { CheckedConvertOptions } from "./convert-options.ts";
import { DigestTap } from "./digest-tap.ts";
import { type DirectoryReaderOptions, readDirectory } from "./directory-reader.ts";
import { type LayerItem, readLayer } from "./layer-reader.ts";
import type { StoreBatch } from "./layer-thread.ts";
import { chunksOf, type LayerInWork, LayerTree } from "./layer-tree.ts";
import { type PackedEntries, unpackEntries } from "./packed-entries.ts";
import { type ReadBackBlob, readBackBlob } from "./read-back-blob.ts";
import { scanItems } from "./scan-layer.ts";
import type { LayerWarning } from "./xattrs.ts";

/** A layer as it comes from its source. */
export interface LayerInput {
  /** Names the layer in messages. */
  readonly name: string;
  /** Opens the layer to read it in this thread. */
  readonly open: (signal: AbortSignal) => OpenLayer;
  /**
   * Reads the layer for a conversion, in a thread where that pays, and checks that it is the promised one.
   *
   * @param use Gets the layer, which is gone when it ends.
   */
  readonly scan: <Result>(
    lanes: ChunkLanes,
    store: StoreBatch,
    signal: AbortSignal,
    use: (layer: LayerInWork, cut: CutChunks) => Promise<Result>,
  ) => Promise<Result>;
}

/** A layer that is being read. */
export interface OpenLayer extends AsyncDisposable {
  readonly items: AsyncIterable<LayerItem>;
  /** Called when every item was read: checks that the bytes were the promised ones. */
  readonly finish: () => Promise<void>;
}

/** A layer that became a blob. */
export interface ConvertedLayer {
  /** In the order of the layer, made anew each time they are walked; every chunk's `blobIndex` is 0. */
  readonly entries: Iterable<LayerEntry>;
  readonly file: BlobFile;
  /** The blob as it was read again, its bootstrap no longer needed; absent when verifying is off. */
  readonly readBack: ReadBackBlob | undefined;
  /** Milliseconds that reading the blob again took. */
  readonly verifyMs: number;
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
    scan: (lanes, store, signal, use) =>
      lanes.withLayerThread(async (thread) => {
        const scanned = await thread.scan(open, { store, onWarning: watch.onWarning }, signal);
        checkDiffId(scanned.diffId);
        return await use(thread.inWork(signal), scanned);
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
    scan: async (lanes, store, signal, use) => {
      const stop = new AbortController();
      const buffers = lanes.newBuffers();
      const packs: PackedEntries[] = [];
      const receiver = {
        onBatch: (batch: ChunkBatch): void => {
          store(batch).then(
            (buffer) => buffers.give(buffer),
            (error: unknown) => stop.abort(error),
          );
        },
        onEntries: (packed: PackedEntries) => packs.push(packed),
        onWarning,
      };
      const either = AbortSignal.any([signal, stop.signal]);
      let cut: CutChunks;
      try {
        cut = await scanItems(items(), receiver, { ...lanes.options, buffers, signal: either });
      } catch (error) {
        // What stopped this layer is the news, not that it was stopped.
        throw stop.signal.aborted ? stop.signal.reason : error;
      }
      return await use(new LayerTree(packs, cut.digests, lanes.options), cut);
    },
  };
}

/**
 * Converts one layer to a blob file at `path`, and reads that again when verifying is on.
 *
 * The layer streams through: memory holds its names and its chunk table, not its bytes.
 *
 * @param lanes Made for the same options.
 * @throws {CodedError} ERR_DIGEST_MISMATCH, ERR_LAYER_INVALID, ERR_LIMIT_EXCEEDED, ERR_TARGET_IO,
 *   ERR_ABORTED, ERR_WORKER_FAILED, what the source throws, and as {@link readBackBlob} and {@link LayerInWork.verify}.
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
  return await input.scan(
    lanes,
    (batch) => pipeline.store(batch),
    signal,
    async (layer, cut) => {
      await pipeline.finish();
      const { table } = writer;
      const file = await writer.finish(cut, (blob) => layer.encodeBootstrap(table, blob));
      const start = performance.now();
      const readBack = options.verify ? await verify(input.name, file, layer) : undefined;
      const verifyMs = options.verify ? performance.now() - start : 0;
      const packs = await layer.takeEntries();
      return { entries: unpackEntries(packs, chunksOf(table, cut.digests)), file, readBack, verifyMs };
    },
  );

  async function verify(name: string, file: BlobFile, layer: LayerInWork): Promise<ReadBackBlob> {
    const readBack = await readBackBlob(path, options, lanes.workers, signal);
    await layer.verify(`the blob of ${name}`, readBack, digestHex(file.digest));
    return { ...readBack, bootstrap: new Uint8Array(0) };
  }
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
