import type { Compressor } from "../../base/algorithm.ts";
import { getSafeUint64, setSafeUint64, viewOf } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import { compressorNumber, compressorOfNumber } from "../rafs/features.ts";

/** Bytes of the header that follows a chunk information array. */
export const CHUNK_INFORMATION_HEADER_SIZE = 4096;

const MAGIC = 0xb10bb10b;
const LAST_MAGIC_OFFSET = CHUNK_INFORMATION_HEADER_SIZE - 4;

/** What the header behind a chunk information array (CI) says of it. Offsets and sizes are bytes. */
export interface ChunkInformationHeader {
  /** Bits of BLOB_FEATURES. They may differ from the blob table's: merging clears some there. */
  readonly features: number;
  /** How the array is stored. */
  readonly compressor: Compressor;
  readonly chunkCount: number;
  /** Where the array starts in the blob file. */
  readonly offset: number;
  readonly storedSize: number;
  readonly decodedSize: number;
  /** Batch or zran rows behind the array: where they start in the decoded array, their bytes, their number. */
  readonly contextOffset: number;
  readonly contextSize: number;
  readonly contextCount: number;
}

/** True when both magic numbers of a header are in place. */
export function looksLikeChunkInformationHeader(bytes: Uint8Array): boolean {
  if (bytes.length < CHUNK_INFORMATION_HEADER_SIZE) return false;
  const view = viewOf(bytes);
  return view.getUint32(0, true) === MAGIC && view.getUint32(LAST_MAGIC_OFFSET, true) === MAGIC;
}

/**
 * Reads the 4096 bytes behind a chunk information array. They are never compressed.
 *
 * On disk (little-endian): u32 magic, features, compressor, chunks; u64 offset, stored size, decoded
 * size, context offset, context size; u32 contexts; zero up to the magic in the last 4 bytes.
 *
 * @throws {CodedError} ERR_BLOB_CORRUPT when a magic number, the compressor or an offset is not valid.
 * @see Nydus storage, blob meta header
 */
export function decodeChunkInformationHeader(bytes: Uint8Array): ChunkInformationHeader {
  if (!looksLikeChunkInformationHeader(bytes)) {
    throw new CodedError("ERR_BLOB_CORRUPT", "chunk information header has no magic number");
  }
  const view = viewOf(bytes);
  const compressor = compressorOfNumber(view.getUint32(8, true));
  if (compressor === undefined) {
    throw new CodedError(
      "ERR_BLOB_CORRUPT",
      `chunk information header names compressor ${view.getUint32(8, true)}`,
    );
  }
  try {
    return {
      features: view.getUint32(4, true),
      compressor,
      chunkCount: view.getUint32(12, true),
      offset: getSafeUint64(view, 16),
      storedSize: getSafeUint64(view, 24),
      decodedSize: getSafeUint64(view, 32),
      contextOffset: getSafeUint64(view, 40),
      contextSize: getSafeUint64(view, 48),
      contextCount: view.getUint32(56, true),
    };
  } catch (cause) {
    throw new CodedError("ERR_BLOB_CORRUPT", "chunk information header has an offset or size over 2^53-1", {
      cause,
    });
  }
}

/** The 4096 bytes of a header. */
export function encodeChunkInformationHeader(header: ChunkInformationHeader): Uint8Array {
  const bytes = new Uint8Array(CHUNK_INFORMATION_HEADER_SIZE);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, header.features, true);
  view.setUint32(8, compressorNumber(header.compressor), true);
  view.setUint32(12, header.chunkCount, true);
  setSafeUint64(view, 16, header.offset);
  setSafeUint64(view, 24, header.storedSize);
  setSafeUint64(view, 32, header.decodedSize);
  setSafeUint64(view, 40, header.contextOffset);
  setSafeUint64(view, 48, header.contextSize);
  view.setUint32(56, header.contextCount, true);
  view.setUint32(LAST_MAGIC_OFFSET, MAGIC, true);
  return bytes;
}
