import { equalBytes, isZero } from "../base/bytes.ts";
import { isCoded } from "../base/errors.ts";
import { decompressChunk } from "../codec/decompress.ts";
import { DIGEST_LENGTH, sha256 } from "../codec/digest.ts";
import { type BlobSections, findBlobSections, SECTION_NAMES } from "../format/blob/blob-sections.ts";
import { TAR_TRAILER_SIZE } from "../format/blob/tar-trailer.ts";
import type { Blob } from "../image/chunk.ts";
import type { BlobSource, ReadOptions } from "../store/blob-source.ts";
import { runsWhere } from "../store/chunk-run.ts";
import type { ChunkedBlob } from "../store/chunk-source.ts";
import { DecodedSource } from "../store/decoded-source.ts";
import { type CheckFindings, MAX_FINDINGS_PER_PLACE } from "./check-findings.ts";
import { type ByteRange, DigestingSource } from "./digesting-source.ts";

/** A blob to check, and what is known of it. */
export interface BlobToCheck {
  readonly blob: Blob;
  readonly chunked: ChunkedBlob;
  /** Bytes that the manifest says its file has; absent without a manifest. */
  readonly size: number | undefined;
}

/** What was read of a blob. */
export interface BlobCheck {
  readonly chunks: number;
  /** Chunks that decode, but that no digest proves. */
  readonly unverified: number;
  /** Stored bytes. */
  readonly size: number;
}

/**
 * Reads a blob file from start to end and checks all that can be said of it: its size and digest, its
 * table of contents, and that every chunk decodes to what its digest says.
 *
 * @throws {CodedError} ERR_SOURCE_UNAVAILABLE, ERR_ABORTED and the like; what is wrong with the blob is a finding.
 */
export async function checkBlob(
  { blob, chunked, size: expected }: BlobToCheck,
  source: BlobSource,
  findings: CheckFindings,
  options: ReadOptions,
): Promise<BlobCheck> {
  const where = `blob ${blob.id}`;
  const size = await source.size(blob.id, options);
  if (expected !== undefined && size !== expected) {
    findings.add("ERR_BLOB_CORRUPT", where, `has ${size} bytes, the manifest says ${expected}`);
  }
  const sections = await readSections(blob, size, source, findings, options);
  checkStoredSize(blob, size, sections, findings);
  const recorded = await readDigests(chunked, sections, source, findings, options);
  const whole = { start: 0, end: size };
  const digests = sections.sections.get(SECTION_NAMES.DIGESTS);
  const chunks = sections.toc?.rows.find(({ name }) => name === SECTION_NAMES.CHUNKS);
  const digesting = new DigestingSource(source, size, [
    [whole],
    // Blobs straight from nydus-image are named by a digest that leaves this section out.
    digests === undefined ? [] : around(whole, digests.offset, digests.offset + digests.storedSize),
    chunks === undefined ? [] : [{ start: 0, end: chunks.storedSize + TAR_TRAILER_SIZE }],
  ]);
  const counts = await readChunks({ ...chunked, digests: recorded }, digesting, findings, options);
  const [ofWhole, withoutDigests, ofChunks] = await digesting.finish(blob.id, options);
  const isNamed = (digest: Uint8Array | undefined): boolean =>
    digest !== undefined && Buffer.from(digest).toString("hex") === blob.id;
  if (!isNamed(ofWhole) && !(expected === undefined && digests !== undefined && isNamed(withoutDigests))) {
    findings.add("ERR_DIGEST_MISMATCH", where, "is not what its digest says");
  }
  if (chunks !== undefined && ofChunks !== undefined && !equalBytes(ofChunks, chunks.digest)) {
    findings.add("ERR_BLOB_CORRUPT", where, `section ${chunks.name} is not what the table of contents says`);
  }
  // The id of a blob is in the bootstrap: when it is the digest of the whole file, it proves every chunk.
  return { ...counts, ...(isNamed(ofWhole) && { unverified: 0 }), size };
}

/** What the bootstrap says of the length of the file: all of it, or what lies before the blob's own bootstrap. */
function checkStoredSize(
  blob: Blob,
  size: number,
  { sections }: BlobSections,
  findings: CheckFindings,
): void {
  const bootstrapOffset = sections.get(SECTION_NAMES.BOOTSTRAP)?.offset;
  if (blob.storedSize === size || blob.storedSize === bootstrapOffset) return;
  const what = `has ${size} bytes, the bootstrap says ${blob.storedSize}`;
  if (blob.storedSize > size) findings.add("ERR_BLOB_CORRUPT", `blob ${blob.id}`, what);
  // Readers take where chunks end from the chunk information, and do not miss the number.
  else findings.warn("ERR_BLOB_CORRUPT", `blob ${blob.id}`, what);
}

async function readSections(
  blob: Blob,
  size: number,
  source: BlobSource,
  findings: CheckFindings,
  options: ReadOptions,
): Promise<BlobSections> {
  const where = `blob ${blob.id}`;
  const nothing: BlobSections = { sections: new Map(), toc: undefined };
  try {
    const read = (offset: number, length: number): Promise<Uint8Array> =>
      source.read(blob.id, offset, length, options);
    const found = await findBlobSections(size, read);
    if (blob.tocDigest === undefined) return found;
    // Only the digest in the bootstrap makes the table of contents worth anything.
    if (found.toc !== undefined && equalBytes(sha256(found.toc.bytes), blob.tocDigest)) return found;
    findings.add(
      "ERR_BLOB_CORRUPT",
      where,
      found.toc === undefined
        ? "has no table of contents, the bootstrap knows the digest of one"
        : "has a table of contents that is not what the bootstrap says",
    );
    return found;
  } catch (error) {
    findings.addError(error, where);
    return nothing;
  }
}

/** The digests of the bootstrap, with those of the blob where the bootstrap has none. */
async function readDigests(
  chunked: ChunkedBlob,
  { sections }: BlobSections,
  source: BlobSource,
  findings: CheckFindings,
  options: ReadOptions,
): Promise<Uint8Array | undefined> {
  const { table, digests } = chunked;
  const where = `blob ${chunked.id}`;
  for (const [name, section] of sections) {
    // The chunks are read one by one; a bootstrap in the blob is not what the image shows.
    if (name === SECTION_NAMES.CHUNKS || name === SECTION_NAMES.BOOTSTRAP || section.digest === undefined) {
      continue;
    }
    try {
      const stored = await source.read(chunked.id, section.offset, section.storedSize, options);
      const decoded = decompressChunk(section.compressor, stored, section.decodedSize ?? section.storedSize);
      if (!equalBytes(sha256(decoded), section.digest)) {
        findings.add("ERR_BLOB_CORRUPT", where, `section ${name} is not what the table of contents says`);
      }
    } catch (error) {
      findings.addError(error, where);
    }
  }
  const section = sections.get(SECTION_NAMES.DIGESTS);
  if (section === undefined) return digests;
  const size = table.count * DIGEST_LENGTH;
  if (section.storedSize !== size) {
    findings.add("ERR_BLOB_CORRUPT", where, `has ${section.storedSize} bytes of chunk digests, not ${size}`);
    return digests;
  }
  const inBlob = await source.read(chunked.id, section.offset, size, options);
  const merged = inBlob.slice();
  let different = 0;
  for (let offset = 0; digests !== undefined && offset < size; offset += DIGEST_LENGTH) {
    const known = digests.subarray(offset, offset + DIGEST_LENGTH);
    if (isZero(known)) continue;
    if (!equalBytes(known, inBlob.subarray(offset, offset + DIGEST_LENGTH))) different++;
    merged.set(known, offset);
  }
  if (different > 0) {
    findings.add(
      "ERR_BLOB_CORRUPT",
      where,
      `records other digests than the bootstrap for ${different} chunks`,
    );
  }
  return merged;
}

async function readChunks(
  chunked: ChunkedBlob,
  blobs: BlobSource,
  findings: CheckFindings,
  options: ReadOptions,
): Promise<Omit<BlobCheck, "size">> {
  const { storedSizes, count } = chunked.table;
  const source = new DecodedSource(blobs);
  const isDone = new Uint8Array(count);
  let faults = 0;
  // A v5 bootstrap says nothing of chunks that no file uses.
  for (const run of runsWhere({ first: 0, count }, (index) => storedSizes[index] !== 0)) {
    for (let left = [run]; left.length > 0; left = runsWhere(run, (index) => isDone[index] === 0)) {
      try {
        for (const part of left) {
          await source.fetch(chunked, part, { class: "prefetch", ...options }, (index) => {
            isDone[index] = 1;
          });
        }
      } catch (error) {
        findings.addError(error, `blob ${chunked.id}`);
        // All before the broken one of the first failure were given.
        isDone[isDone.indexOf(0, run.first)] = 1;
        if (isCoded(error, "ERR_CHUNK_NOT_FOUND") || ++faults >= MAX_FINDINGS_PER_PLACE) {
          return { chunks: source.counts.chunks, unverified: source.counts.unverifiedChunks };
        }
      }
    }
  }
  return { chunks: source.counts.chunks, unverified: source.counts.unverifiedChunks };
}

function around({ start, end }: ByteRange, from: number, to: number): readonly ByteRange[] {
  return [
    { start, end: from },
    { start: to, end },
  ];
}
