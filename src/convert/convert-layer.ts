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
import type { ChunkLanes } from "./chunk-lanes.ts";
import { ChunkPipeline } from "./chunk-pipeline.ts";
import type { CheckedConvertOptions } from "./convert-options.ts";
import { DigestTap } from "./digest-tap.ts";
import { type DirectoryReaderOptions, readDirectory } from "./directory-reader.ts";
import { type LayerItem, readLayer } from "./layer-reader.ts";
import type { LayerWarning } from "./xattrs.ts";

/** A layer as it comes from its source. */
export interface LayerInput {
  /** Names the layer in messages. */
  readonly name: string;
  /** Opens the layer; it is read once. */
  readonly open: (signal: AbortSignal) => OpenLayer;
}

/** A layer that is being read. */
export interface OpenLayer extends AsyncDisposable {
  readonly items: AsyncIterable<LayerItem>;
  /** Called when every item was read: checks that the bytes were the promised ones. */
  readonly finish: () => Promise<void>;
}

/** A layer that became a blob. */
export interface ConvertedLayer {
  /** In the order of the layer; every chunk's `blobIndex` is 0. */
  readonly entries: readonly LayerEntry[];
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
 * `finish` throws ERR_DIGEST_MISMATCH when they do not.
 */
export function tarLayer(
  source: ImageSource,
  descriptor: Descriptor,
  diffId: Digest,
  watch: LayerWatch,
): LayerInput {
  return {
    name: `layer ${descriptor.digest}`,
    open: (signal) => {
      const stored = metered(source.openBlob(descriptor, { signal }), watch);
      const tap = new DigestTap(decompressLayer(stored));
      return {
        items: readLayer(tap, { onWarning: watch.onWarning }),
        finish: async () => {
          const actual = await tap.finish();
          if (actual === diffId) return;
          throw new CodedError(
            "ERR_DIGEST_MISMATCH",
            `layer ${descriptor.digest} has diff id ${actual}, its image's configuration says ${diffId}`,
          );
        },
        [Symbol.asyncDispose]: () => tap.close(),
      };
    },
  };
}

/** A directory as the one layer of an image. */
export function directoryLayer(
  path: string,
  watch: LayerWatch,
  readXattrs: DirectoryReaderOptions["readXattrs"],
): LayerInput {
  return {
    name: `directory ${path}`,
    open: () => ({
      items: readDirectory(path, {
        onWarning: watch.onWarning,
        ...(readXattrs !== undefined && { readXattrs }),
      }),
      finish: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
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
  const entries: LayerEntry[] = [];
  {
    await using pipeline = new ChunkPipeline(writer, lanes, options, signal);
    await using layer = input.open(signal);
    for await (const { entry, content } of layer.items) {
      throwIfAborted(signal);
      entries.push(
        entry.type === "file" && content !== undefined
          ? { ...entry, chunks: await pipeline.storeFile(content, entry.size) }
          : entry,
      );
    }
    await layer.finish();
    await pipeline.finish();
  }
  const tree = buildLayerTree(entries);
  const file = await writer.finish((blob) => encodeLayerBootstrap(tree, blob, options));
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
