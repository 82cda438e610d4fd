import { equalBytes } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { DIGEST_LENGTH, sha256 } from "../codec/digest.ts";
import { findBlobSections, SECTION_NAMES } from "../format/blob/blob-sections.ts";
import { BLOB_FEATURES } from "../format/rafs/features.ts";
import type { Blob } from "../image/chunk.ts";
import type { BlobSource, ReadOptions } from "../store/blob-source.ts";

/**
 * The chunk digests that a blob carries itself, 32 bytes each, proven by the bootstrap: its blob table has
 * the digest of the table of contents, which has that of the section.
 *
 * @returns `undefined` when the bootstrap proves none.
 * @throws {CodedError} ERR_BLOB_CORRUPT when the blob is not what the bootstrap says, and what the source throws.
 */
export async function readBlobDigests(
  source: BlobSource,
  blob: Blob,
  options: ReadOptions,
): Promise<Uint8Array | undefined> {
  const { id, features, tocDigest, chunkCount } = blob;
  if (tocDigest === undefined || (features & BLOB_FEATURES.INLINED_CHUNK_DIGEST) === 0) return undefined;
  const corrupt = (what: string): CodedError => new CodedError("ERR_BLOB_CORRUPT", `blob ${id} ${what}`);
  const read = (offset: number, length: number): Promise<Uint8Array> =>
    source.read(id, offset, length, options);
  const { sections, toc } = await findBlobSections(await source.size(id, options), read);
  if (toc === undefined || !equalBytes(sha256(toc.bytes), tocDigest)) {
    throw corrupt("has another table of contents than the bootstrap says");
  }
  const section = sections.get(SECTION_NAMES.DIGESTS);
  if (section === undefined || section.storedSize !== chunkCount * DIGEST_LENGTH) {
    throw corrupt(`has no digests of its ${chunkCount} chunks`);
  }
  const digests = await read(section.offset, section.storedSize);
  if (section.digest === undefined || !equalBytes(sha256(digests), section.digest)) {
    throw corrupt("has other chunk digests than its table of contents says");
  }
  return digests;
}
