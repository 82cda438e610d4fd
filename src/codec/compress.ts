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
  const compressed = compressScratch(compressor, bytes, level);
  return compressed === undefined
    ? { bytes, isCompressed: false }
    : { bytes: compressed.slice(), isCompressed: true };
}

/**
 * As {@link compressChunk}, without a copy.
 *
 * @returns The compressed bytes, good until the next call; nothing when they are not strictly smaller.
 */
export function compressScratch(
  compressor: Compressor,
  bytes: Uint8Array,
  level: number,
): Uint8Array | undefined {
  if (compressor === "none") return undefined;
  const compressed = encode(compressor, bytes, level);
  return compressed.length < bytes.length ? compressed : undefined;
}

function encode(compressor: Exclude<Compressor, "none">, bytes: Uint8Array, level: number): Uint8Array {
  switch (compressor) {
    case "lz4_block":
      return compressLz4(bytes);
    case "zstd":
      return requireZstd().compress(bytes, level);
    case "gzip":
      throw new CodedError("ERR_FEATURE_UNSUPPORTED", "chunks are not written with gzip");
  }
}
