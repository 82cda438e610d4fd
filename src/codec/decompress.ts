import { gunzipSync } from "node:zlib";
import type { Compressor } from "../base/algorithm.ts";
import { CodedError } from "../base/errors.ts";
import { addon } from "../native/addon.ts";
import { decompressLz4 } from "./lz4.ts";
import { requireZstd, type Zstd } from "./zstd.ts";

/**
 * Most bytes one call decodes: a chunk has at most 16 MiB, a chunk information array at most
 * 2^24 records of 24 bytes.
 */
export const MAX_DECODED_SIZE = 512 * 2 ** 20;

/**
 * Decodes the stored form of a chunk, or of anything else that a blob compresses as one piece.
 *
 * The output takes `decodedSize` bytes and no more, whatever the stored bytes claim. For `none` the
 * given array comes back.
 *
 * @param decodedSize Bytes that must come out.
 * @param target Where the output may lie instead of in fresh memory, if it has at least `decodedSize` bytes. It
 *   may be written to and not be used.
 * @throws {CodedError} ERR_CODEC_FAILED when the bytes do not decode to exactly `decodedSize` bytes,
 *   ERR_CODEC_MISSING for zstd without zstd-napi, ERR_LIMIT_EXCEEDED over {@link MAX_DECODED_SIZE}.
 */
export function decompressChunk(
  compressor: Compressor,
  stored: Uint8Array,
  decodedSize: number,
  target?: Uint8Array,
): Uint8Array {
  if (!(decodedSize >= 0 && decodedSize <= MAX_DECODED_SIZE)) {
    throw new CodedError("ERR_LIMIT_EXCEEDED", `decoded size ${decodedSize} is over ${MAX_DECODED_SIZE}`);
  }
  const decoded = decode(compressor, stored, decodedSize, target);
  if (decoded.length !== decodedSize) {
    throw new CodedError(
      "ERR_CODEC_FAILED",
      `${stored.length} bytes of ${compressor} decode to ${decoded.length} bytes, expected ${decodedSize}`,
    );
  }
  return decoded;
}

function decode(
  compressor: Compressor,
  stored: Uint8Array,
  decodedSize: number,
  scratch: Uint8Array | undefined,
): Uint8Array {
  if (compressor === "none") return stored;
  const decoder = decoderInto(compressor);
  try {
    if (decoder !== undefined) {
      const hasRoom = scratch !== undefined && scratch.length >= decodedSize;
      const target = hasRoom ? scratch.subarray(0, decodedSize) : new Uint8Array(decodedSize);
      return target.subarray(0, decoder.decompressInto(target, stored));
    }
    if (compressor === "lz4_block") return decompressLz4(stored, decodedSize);
    // zlib takes no bound of 0; one byte more than allowed is found by the length check.
    const decoded = gunzipSync(stored, { maxOutputLength: Math.max(decodedSize, 1) });
    return new Uint8Array(decoded.buffer, decoded.byteOffset, decoded.byteLength);
  } catch (cause) {
    throw new CodedError(
      "ERR_CODEC_FAILED",
      `${stored.length} bytes of ${compressor} do not decode to ${decodedSize} bytes`,
      { cause },
    );
  }
}

/** A decoder that writes where it is told to, and never past it. */
function decoderInto(compressor: Compressor): Pick<Zstd, "decompressInto"> | undefined {
  if (compressor === "zstd") return requireZstd();
  return compressor === "lz4_block" ? addon()?.lz4() : undefined;
}
