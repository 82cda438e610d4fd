import { CodedError, isCoded } from "../base/errors.ts";
import type { DecodedRun, DecodeTask } from "./chunk-tasks.ts";
import { decompressChunk, MAX_DECODED_SIZE } from "./decompress.ts";
import { DIGEST_LENGTH, digestChunk } from "./digest.ts";
import { failureOf } from "./task-failure.ts";

/**
 * Does a {@link DecodeTask} on the calling thread.
 *
 * @throws {CodedError} ERR_LIMIT_EXCEEDED when all chunks together are over {@link MAX_DECODED_SIZE}.
 */
export function decodeChunks(task: DecodeTask): DecodedRun {
  const { compressor, digester, buffer, offsets, storedSizes, decodedSizes, isCompressed } = task;
  const decodedSize = decodedSizes.reduce((sum, size) => sum + size, 0);
  if (decodedSize > MAX_DECODED_SIZE) {
    throw new CodedError("ERR_LIMIT_EXCEEDED", `decoded size ${decodedSize} is over ${MAX_DECODED_SIZE}`);
  }
  const decoded = new Uint8Array(decodedSize);
  const digests = new Uint8Array(offsets.length * DIGEST_LENGTH);
  let end = 0;
  for (const [position, offset] of offsets.entries()) {
    const stored = buffer.subarray(offset, offset + (storedSizes[position] ?? 0));
    const target = decoded.subarray(end, end + (decodedSizes[position] ?? 0));
    try {
      const codec = isCompressed[position] === 0 ? "none" : compressor;
      const bytes = decompressChunk(codec, stored, target.length, target);
      if (bytes.buffer !== decoded.buffer) target.set(bytes);
    } catch (error) {
      if (!isCoded(error)) throw error;
      return { buffer: decoded, digests, failed: { position, failure: failureOf(error) } };
    }
    digests.set(digestChunk(digester, target), position * DIGEST_LENGTH);
    end += target.length;
  }
  return { buffer: decoded, digests, failed: undefined };
}
