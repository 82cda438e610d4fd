import type { Compressor } from "../base/algorithm.ts";
import { CodedError } from "../base/errors.ts";
import { compressLz4 } from "./lz4.ts";
import { requireZstd } from "./zstd.ts";

/** What nydus-image uses for data, so that sizes compare. */
export const DEFAULT_ZSTD_LEVEL = 3;

/** The stored form of a chunk. */
export interface StoredChunk {
  /** The compressed bytes, or the very bytes that were given. The caller's to keep. */
  readonly bytes: Uint8Array;
  readonly isCompressed: boolean;
}

/**
 * Compresses one chunk; bytes that do not become strictly smaller are stored as they are.
 *
 * The same bytes give the same stored bytes in every process: there is one encoder per compressor.
 *
 * @param level Zstandard level, 1 to 22; other compressors have none. @default 3
 * @throws {CodedError} ERR_CODEC_MISSING for zstd without zstd-napi; ERR_FEATURE_UNSUPPORTED for gzip,
 *   which is only ever read.
 */
export function compressChunk(
  compressor: Compressor,
  bytes: Uint8Array,
  level: number = DEFAULT_ZSTD_LEVEL,
): StoredChunk {
  switch (compressor) {
    case "none":
      return { bytes, isCompressed: false };
    case "lz4_block":
      return smaller(bytes, compressLz4(bytes));
    case "zstd": {
      const frame = requireZstd().compress(bytes, level);
      return frame.length < bytes.length
        ? { bytes: frame.slice(), isCompressed: true }
        : { bytes, isCompressed: false };
    }
    case "gzip":
      throw new CodedError("ERR_FEATURE_UNSUPPORTED", "chunks are not written with gzip");
  }
}

function smaller(bytes: Uint8Array, compressed: Uint8Array): StoredChunk {
  return compressed.length < bytes.length
    ? { bytes: compressed, isCompressed: true }
    : { bytes, isCompressed: false };
}
