import { equalBytes, isZero, toHex } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { crc32c } from "../codec/crc32c.ts";
import { DIGEST_LENGTH, digestChunk } from "../codec/digest.ts";
import type { ChunkedBlob } from "./chunk-source.ts";

/**
 * The trusted digest of a chunk; absent when the chunk cannot be verified. All zeros stands for "not known":
 * the chunk table of an image names only those chunks of a chunk dict that the image uses.
 */
export function chunkDigest(blob: ChunkedBlob, index: number): Uint8Array | undefined {
  const end = (index + 1) * DIGEST_LENGTH;
  if (blob.digests === undefined || blob.digests.length < end) return undefined;
  const digest = blob.digests.subarray(end - DIGEST_LENGTH, end);
  return isZero(digest) ? undefined : digest;
}

/** The chunks that have a digest: those that the image uses. */
export function* provableChunks(blob: ChunkedBlob): Generator<number, void, void> {
  for (let index = 0; index < blob.table.count; index++) {
    if (chunkDigest(blob, index) !== undefined) yield index;
  }
}

/**
 * Checks decoded bytes against what the image says of the chunk: size, digest, and CRC-32C where only
 * that is known. A CRC finds accidents, not lies, so a chunk without a digest stays unverified.
 *
 * @param place Where the bytes come from, for the message.
 * @param digest The digest of the bytes, where it is known already.
 * @returns Whether the digest proves the bytes; false for a chunk without one.
 * @throws {CodedError} ERR_CHUNK_CORRUPT when they are not the chunk's.
 */
export function checkChunk(
  blob: ChunkedBlob,
  index: number,
  decoded: Uint8Array,
  place: string,
  digest?: Uint8Array,
): boolean {
  if (decoded.length !== blob.table.decodedSizes[index]) {
    throw corruptChunk(blob, index, place, `has ${decoded.length} bytes`);
  }
  const expected = chunkDigest(blob, index);
  if (expected === undefined) {
    const recorded = blob.table.crc32cOf(index);
    if (recorded !== undefined && recorded !== crc32c(decoded)) {
      throw corruptChunk(blob, index, place, `has another CRC-32C than ${recorded}`);
    }
    return false;
  }
  const found = digest ?? digestChunk(blob.digester, decoded);
  if (!equalBytes(found, expected)) {
    throw corruptChunk(blob, index, place, `digests to ${toHex(found)}, expected ${toHex(expected)}`);
  }
  return true;
}

/** Makes an error that names a chunk. */
type ChunkErrorOf = (
  blob: ChunkedBlob,
  index: number,
  place: string,
  what: string,
  cause?: unknown,
) => CodedError;

/** The error of a chunk whose bytes are not the image's. */
export const corruptChunk: ChunkErrorOf = (blob, index, place, what, cause) =>
  new CodedError("ERR_CHUNK_CORRUPT", `chunk ${index} of blob ${blob.id} from ${place} ${what}`, { cause });

/** The error of a chunk that a place does not have. */
export const missingChunk: ChunkErrorOf = (blob, index, place, what, cause) =>
  new CodedError("ERR_CHUNK_NOT_FOUND", `chunk ${index} of blob ${blob.id} from ${place} ${what}`, { cause });

/**
 * Checks that a run lies inside the table of its blob.
 *
 * @throws {CodedError} ERR_CHUNK_NOT_FOUND.
 */
export function checkRun(blob: ChunkedBlob, first: number, count: number): void {
  const isInside = Number.isSafeInteger(first) && Number.isSafeInteger(count) && first >= 0 && count >= 0;
  if (!isInside || first + count > blob.table.count) {
    throw new CodedError(
      "ERR_CHUNK_NOT_FOUND",
      `blob ${blob.id} has chunks 0 to ${blob.table.count - 1}, wanted ${count} from ${first}`,
    );
  }
}
