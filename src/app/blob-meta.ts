import { CodedError, isCoded } from "../base/errors.ts";
import { decompressChunk } from "../codec/decompress.ts";
import { blobMetaFileSize, decodeBlobMetaFile, encodeBlobMetaFile } from "../format/blob/blob-meta-file.ts";
import {
  chunkInformationRowSize,
  decodeChunkTable,
  storedChunksEnd,
  unsupportedBlobFeature,
} from "../format/blob/chunk-information.ts";
import {
  CHUNK_INFORMATION_HEADER_SIZE,
  type ChunkInformationHeader,
  decodeChunkInformationHeader,
} from "../format/blob/chunk-information-header.ts";
import { type ChunkTable, MAX_CHUNK_COUNT } from "../format/blob/chunk-table.ts";
import type { Blob, ChunkInformationLocation } from "../image/chunk.ts";
import type { BlobSource, ReadOptions } from "../store/blob-source.ts";

/**
 * The chunk table in the bytes of a `.blob.meta` file: of a bootstrap layer, of a cache, or from
 * {@link readBlobMeta}.
 *
 * @param blob The row of the blob table that the bytes must agree with.
 * @throws {CodedError} ERR_BLOB_CORRUPT when they do not, ERR_FEATURE_UNSUPPORTED naming the feature.
 */
export function chunkTableOfMeta(metaBytes: Uint8Array, blob: Blob): ChunkTable {
  checkSupported(blob);
  const { header, chunkInformation } = decodeBlobMetaFile(metaBytes);
  checkHeader(header, blob, locationOf(blob));
  return decodeChunkTable(chunkInformation, {
    features: blob.features,
    compressor: blob.compressor,
    chunkCount: blob.chunkCount,
    storedEnd: storedChunksEnd(blob),
    decodedSize: blob.decodedSize,
  });
}

/**
 * Whether a `.blob.meta` file of a bootstrap layer can hold the chunk information of a blob. The tools of
 * containerd leave nothing but the header where the array is compressed with lz4.
 */
export function isCompleteMeta(metaBytes: Uint8Array, blob: Blob): boolean {
  return metaBytes.length === blobMetaFileSize(blob.chunkInformation?.decodedSize ?? 0);
}

/**
 * Reads the chunk information out of a blob, in one request, in the form of a `.blob.meta` file.
 *
 * @throws {CodedError} ERR_BLOB_CORRUPT when it is not what the blob table says, ERR_LIMIT_EXCEEDED,
 *   ERR_FEATURE_UNSUPPORTED naming the feature, and what the source throws.
 */
export async function readBlobMeta(
  source: BlobSource,
  blob: Blob,
  options: ReadOptions,
): Promise<Uint8Array> {
  checkSupported(blob);
  const location = locationOf(blob);
  const { offset, storedSize, decodedSize } = location;
  const length = storedSize + CHUNK_INFORMATION_HEADER_SIZE;
  const bytes = await source.read(blob.id, offset, length, options);
  const header = decodeChunkInformationHeader(bytes.subarray(storedSize));
  checkHeader(header, blob, location);
  const chunkInformation = decompress(location, bytes.subarray(0, storedSize), decodedSize, blob);
  return encodeBlobMetaFile({ header, chunkInformation });
}

/** @throws {CodedError} ERR_FEATURE_UNSUPPORTED when this release cannot read the chunks of a blob. */
export function checkSupported(blob: Blob): void {
  const feature = unsupportedBlobFeature(blob);
  if (feature !== undefined)
    throw new CodedError("ERR_FEATURE_UNSUPPORTED", `blob ${blob.id} uses ${feature}`);
}

/** The location with every size bounded. */
function locationOf(blob: Blob): ChunkInformationLocation {
  const location = blob.chunkInformation;
  if (location === undefined) {
    throw new CodedError("ERR_BLOB_CORRUPT", `blob ${blob.id} has no chunk information`);
  }
  if (blob.chunkCount > MAX_CHUNK_COUNT) {
    throw new CodedError("ERR_LIMIT_EXCEEDED", `blob ${blob.id} has ${blob.chunkCount} chunks`);
  }
  const expected = blob.chunkCount * chunkInformationRowSize(blob.features);
  if (location.decodedSize !== expected || location.storedSize > expected) {
    throw new CodedError(
      "ERR_BLOB_CORRUPT",
      `blob ${blob.id} has ${location.storedSize} stored, ${location.decodedSize} decoded bytes of chunk ` +
        `information, expected ${expected}`,
    );
  }
  return location;
}

/** Compares the header with the blob table in all that both say, but for features: merging clears some there. */
function checkHeader(header: ChunkInformationHeader, blob: Blob, location: ChunkInformationLocation): void {
  const fields = [
    ["chunks", header.chunkCount, blob.chunkCount],
    ["compressor", header.compressor, location.compressor],
    ["offset", header.offset, location.offset],
    ["stored size", header.storedSize, location.storedSize],
    ["decoded size", header.decodedSize, location.decodedSize],
  ] as const;
  for (const [name, found, expected] of fields) {
    if (found !== expected) {
      throw new CodedError(
        "ERR_BLOB_CORRUPT",
        `chunk information of blob ${blob.id} has ${name} ${found}, the blob table says ${expected}`,
      );
    }
  }
}

function decompress(
  { compressor }: ChunkInformationLocation,
  stored: Uint8Array,
  decodedSize: number,
  blob: Blob,
): Uint8Array {
  try {
    return decompressChunk(compressor, stored, decodedSize);
  } catch (cause) {
    if (!isCoded(cause, "ERR_CODEC_FAILED")) throw cause;
    throw new CodedError("ERR_BLOB_CORRUPT", `chunk information of blob ${blob.id} does not decode`, {
      cause,
    });
  }
}
