import type { Compressor, Digester } from "../base/algorithm.ts";
import { alignUp, toHex } from "../base/bytes.ts";
import { type Digest, digestFromHex } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import { compressChunk } from "../codec/compress.ts";
import { DIGEST_LENGTH, sha256 } from "../codec/digest.ts";
import { encodeBlobMetaFile } from "../format/blob/blob-meta-file.ts";
import { SECTION_NAMES } from "../format/blob/blob-sections.ts";
import { encodeChunkTable } from "../format/blob/chunk-information.ts";
import {
  CHUNK_INFORMATION_HEADER_SIZE,
  type ChunkInformationHeader,
  encodeChunkInformationHeader,
} from "../format/blob/chunk-information-header.ts";
import {
  CHUNK_COMPRESSED,
  ChunkTable,
  DECODED_ALIGNMENT,
  MAX_CHUNK_COUNT,
} from "../format/blob/chunk-table.ts";
import { encodeTarTrailer } from "../format/blob/tar-trailer.ts";
import { encodeToc, type TocRow } from "../format/blob/toc.ts";
import { BLOB_FEATURES } from "../format/rafs/features.ts";
import type { Blob } from "../image/chunk.ts";
import type { CutChunks } from "./chunk-cutter.ts";
import { DigestedFile } from "./digested-file.ts";

/** No bootstrap can hold the digest of the blob it lies in. */
const UNKNOWN_ID = "0".repeat(64);

/** Features of a blob that has everything in it: chunks, chunk information, digests, bootstrap, TOC. */
const INLINE_FEATURES =
  BLOB_FEATURES.ALIGNED |
  BLOB_FEATURES.INLINED_FS_META |
  BLOB_FEATURES.INLINED_CHUNK_DIGEST |
  BLOB_FEATURES.HAS_TAR_HEADER |
  BLOB_FEATURES.HAS_TOC |
  BLOB_FEATURES.CAP_TAR_TOC;

export interface BlobOptions {
  readonly compressor: Compressor;
  /** Zstandard level; other compressors have none. */
  readonly level: number;
  readonly digester: Digester;
  /** Bytes, a power of two. */
  readonly chunkSize: number;
}

/** A finished blob file. */
export interface BlobFile {
  readonly path: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** The blob as a merged bootstrap describes it; absent when it has no chunks. */
  readonly blob: Blob | undefined;
  /** The chunk information in the form of `image/HEX.blob.meta`; absent when it has no chunks. */
  readonly metaFile: Uint8Array | undefined;
  /** Chunks that the layer holds again, stored once, and their decoded bytes. */
  readonly duplicates: CutChunks["duplicates"];
}

/**
 * Writes one layer as a blob: its chunks, then what describes them.
 *
 * `chunks T | chunk information, its header T | digests T | bootstrap T | table of contents T`, where T is
 * a tar trailer; a layer without chunks is `bootstrap T | table of contents T`.
 *
 * Nothing but the chunk table stays in memory.
 *
 * @see rafs-format 3.2, packings (d) and (h)
 */
export class BlobWriter implements AsyncDisposable {
  readonly #file: DigestedFile;
  readonly #options: BlobOptions;
  readonly #rows: TocRow[] = [];
  #table = new ChunkTable(1024);
  #count = 0;
  #decodedEnd = 0;

  private constructor(file: DigestedFile, options: BlobOptions) {
    this.#file = file;
    this.#options = options;
  }

  /**
   * Creates the file; it must not exist.
   *
   * @throws {CodedError} ERR_TARGET_IO.
   */
  static async create(path: string, options: BlobOptions): Promise<BlobWriter> {
    return new BlobWriter(await DigestedFile.create(path), options);
  }

  /**
   * Stores chunks behind those before. The bytes may be changed once the call is done.
   *
   * @param stored Their stored forms, one after the other from its start.
   * @param storedSizes Bytes of each stored form, which is the decoded one exactly when it has as many bytes.
   * @param sizes Bytes of each chunk.
   * @throws {CodedError} ERR_TARGET_IO, ERR_LIMIT_EXCEEDED for more chunks than a blob can have.
   */
  async append(stored: Uint8Array, storedSizes: Uint32Array, sizes: Uint32Array): Promise<void> {
    if (this.#count + sizes.length > MAX_CHUNK_COUNT) {
      throw new CodedError("ERR_LIMIT_EXCEEDED", `layer has over ${MAX_CHUNK_COUNT} chunks`);
    }
    const start = this.#file.size;
    let end = start;
    for (const [position, size] of sizes.entries()) {
      const storedSize = storedSizes[position] ?? 0;
      this.#addRow(end, storedSize, size);
      end += storedSize;
    }
    await this.#file.append(stored.subarray(0, end - start));
  }

  /** Where the chunks so far lie. */
  get table(): ChunkTable {
    return resized(this.#table, this.#count, this.#count);
  }

  /**
   * Writes what follows the chunks and closes the file.
   *
   * @param cut The digests of all chunks, in order.
   * @param encodeBootstrap The bootstrap of this layer alone, given its blob (the id is not
   *   known yet), or nothing when there are no chunks.
   * @throws {CodedError} ERR_TARGET_IO, and what `encodeBootstrap` throws.
   */
  async finish(
    { digests, duplicates }: CutChunks,
    encodeBootstrap: (blob: Blob | undefined) => Promise<Uint8Array>,
  ): Promise<BlobFile> {
    this.#checkDigests(digests);
    const file = this.#file;
    const header = this.#count === 0 ? undefined : await this.#appendChunkSections(digests);
    const inlineBlob = header === undefined ? undefined : this.#describe(header);
    await this.#appendBootstrap(await encodeBootstrap(inlineBlob));
    const toc = encodeToc(this.#rows);
    await file.append(toc);
    await this.#appendTrailer(SECTION_NAMES.TOC, toc.length);
    const id = toHex(file.digest());
    await file.close();
    const features = INLINE_FEATURES & ~BLOB_FEATURES.INLINED_FS_META;
    return {
      path: file.path,
      digest: digestFromHex(id),
      size: file.size,
      blob: inlineBlob && { ...inlineBlob, id, features },
      metaFile: header && encodeBlobMetaFile({ header, chunkInformation: encodeChunkTable(this.table, 0) }),
      duplicates,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }

  #checkDigests(digests: Uint8Array): void {
    if (digests.length === this.#count * DIGEST_LENGTH) return;
    throw new TypeError(`${digests.length} bytes of digests for ${this.#count} chunks`);
  }

  #addRow(storedOffset: number, storedSize: number, decodedSize: number): void {
    const row = this.#count++;
    if (row === this.#table.count) this.#table = resized(this.#table, row, 2 * row);
    this.#table.storedOffsets[row] = storedOffset;
    this.#table.storedSizes[row] = storedSize;
    this.#table.decodedOffsets[row] = this.#decodedEnd;
    this.#table.decodedSizes[row] = decodedSize;
    this.#table.flags[row] = storedSize === decodedSize ? 0 : CHUNK_COMPRESSED;
    this.#decodedEnd = alignUp(this.#decodedEnd + decodedSize, DECODED_ALIGNMENT);
  }

  async #appendChunkSections(digests: Uint8Array): Promise<ChunkInformationHeader> {
    const file = this.#file;
    const chunksSize = file.size;
    await this.#appendTrailer(SECTION_NAMES.CHUNKS, chunksSize);
    this.#rows.push({
      name: SECTION_NAMES.CHUNKS,
      compressor: "none",
      digest: file.digest(),
      storedOffset: 0,
      storedSize: chunksSize,
      decodedSize: this.#decodedEnd,
    });

    const information = encodeChunkTable(this.table, 0);
    const stored = this.#compressSection(information);
    const header: ChunkInformationHeader = {
      features: INLINE_FEATURES,
      compressor: stored.compressor,
      chunkCount: this.#count,
      offset: file.size,
      storedSize: stored.bytes.length,
      decodedSize: information.length,
      contextOffset: 0,
      contextSize: 0,
      contextCount: 0,
    };
    await this.#appendSection(SECTION_NAMES.CHUNK_INFORMATION, information, stored);
    const headerBytes = encodeChunkInformationHeader(header);
    await this.#appendSection(SECTION_NAMES.CHUNK_INFORMATION_HEADER, headerBytes);
    await this.#appendTrailer(
      SECTION_NAMES.CHUNK_INFORMATION,
      stored.bytes.length + CHUNK_INFORMATION_HEADER_SIZE,
    );

    await this.#appendSection(SECTION_NAMES.DIGESTS, digests);
    await this.#appendTrailer(SECTION_NAMES.DIGESTS, digests.length);
    return header;
  }

  async #appendBootstrap(bootstrap: Uint8Array): Promise<void> {
    const stored: StoredSection =
      this.#options.compressor === "none"
        ? { bytes: bootstrap, compressor: "none" }
        : this.#compressWithZstd(bootstrap);
    await this.#appendSection(SECTION_NAMES.BOOTSTRAP, bootstrap, stored);
    await this.#appendTrailer(SECTION_NAMES.BOOTSTRAP, stored.bytes.length);
  }

  // No reader of a table of contents decodes lz4 there, so an lz4 blob keeps its small array raw.
  #compressSection(bytes: Uint8Array): StoredSection {
    return this.#options.compressor === "zstd"
      ? this.#compressWithZstd(bytes)
      : { bytes, compressor: "none" };
  }

  #compressWithZstd(bytes: Uint8Array): StoredSection {
    const stored = compressChunk("zstd", bytes, this.#options.level);
    return { bytes: stored.bytes, compressor: stored.isCompressed ? "zstd" : "none" };
  }

  async #appendSection(name: string, decoded: Uint8Array, stored?: StoredSection): Promise<void> {
    const bytes = stored?.bytes ?? decoded;
    this.#rows.push({
      name,
      compressor: stored?.compressor ?? "none",
      digest: sha256(decoded),
      storedOffset: this.#file.size,
      storedSize: bytes.length,
      decodedSize: decoded.length,
    });
    await this.#file.append(bytes);
  }

  async #appendTrailer(name: string, size: number): Promise<void> {
    await this.#file.append(encodeTarTrailer({ name, size }));
  }

  #describe(header: ChunkInformationHeader): Blob {
    const { compressor, digester, chunkSize } = this.#options;
    return {
      id: UNKNOWN_ID,
      features: INLINE_FEATURES,
      compressor,
      digester,
      chunkSize,
      chunkCount: this.#count,
      storedSize: this.#file.size,
      decodedSize: this.#decodedEnd,
      chunkInformation: {
        compressor: header.compressor,
        offset: header.offset,
        storedSize: header.storedSize,
        decodedSize: header.decodedSize,
      },
      // Unknown while the bootstrap inside the blob is written; a merged bootstrap leaves them out as well.
      tocDigest: undefined,
      tocSize: 0,
    };
  }
}

/** A section as it is stored. */
interface StoredSection {
  readonly bytes: Uint8Array;
  readonly compressor: Compressor;
}

/** A table of `count` rows with the first rows of another. */
function resized(table: ChunkTable, rows: number, count: number): ChunkTable {
  const result = new ChunkTable(count);
  result.storedOffsets.set(table.storedOffsets.subarray(0, rows));
  result.storedSizes.set(table.storedSizes.subarray(0, rows));
  result.decodedOffsets.set(table.decodedOffsets.subarray(0, rows));
  result.decodedSizes.set(table.decodedSizes.subarray(0, rows));
  result.flags.set(table.flags.subarray(0, rows));
  return result;
}
