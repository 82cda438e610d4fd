import {
  CHUNK_RECORD_FLAGS,
  CHUNK_RECORD_SIZE,
  type ChunkRecord,
  decodeChunkRecord,
} from "../format/rafs/chunk-record.ts";
import { BLOB_FEATURES } from "../format/rafs/features.ts";
import type { V5Inode } from "../format/rafs/v5-inode.ts";
import type { ReadBootstrapOptions } from "./bootstrap.ts";
import { bootstrapError } from "./bootstrap-error.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import type { V5BlobRow, V5Tables } from "./bootstrap-v5-tables.ts";
import type { Blob, Chunk } from "./chunk.ts";

/** No builder makes such chunks in v5; their sizes would mean something else. */
const UNSUPPORTED_FLAGS = CHUNK_RECORD_FLAGS.ENCRYPTED | CHUNK_RECORD_FLAGS.BATCH;

type Mutable<Row> = { -readonly [Field in keyof Row]: Row[Field] };

/** Reads the chunk records of v5 inodes and gathers what they tell of the blobs. */
export class V5ChunkReader {
  readonly #view: DataView;
  readonly #tables: V5Tables;
  readonly #allowUnsupported: boolean;
  /** Per blob without a row in the extended table: its chunks, each once per reference. */
  readonly #unnumbered = new Map<number, Mutable<Chunk>[]>();

  constructor(view: DataView, tables: V5Tables, options: ReadBootstrapOptions) {
    this.#allowUnsupported = options.allowUnsupported === true;
    this.#view = view;
    this.#tables = tables;
  }

  /**
   * The chunks of the regular file in inode table row `row`.
   *
   * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT when they do not cover the file as its size demands or
   *   do not lie in a blob.
   */
  read(row: number, inode: V5Inode): Chunk[] {
    const { chunkSize } = this.#tables.superblock;
    const fail = (what: string): never => {
      throw bootstrapError("ERR_BOOTSTRAP_CORRUPT", `inode ${row + 1}: ${what}`);
    };
    if (inode.childCount !== Math.ceil(inode.size / chunkSize)) {
      fail(`${inode.childCount} chunks for ${inode.size} bytes`);
    }
    const chunks: Chunk[] = [];
    for (let k = 0; k < inode.childCount; k++) {
      const record = this.#decode(inode.chunksOffset + k * CHUNK_RECORD_SIZE, fail);
      const expected = Math.min(chunkSize, inode.size - k * chunkSize);
      if (record.decodedSize !== expected) fail(`chunk ${k} of ${record.decodedSize} bytes, not ${expected}`);
      const isUnsupported = (record.flags & UNSUPPORTED_FLAGS) !== 0;
      if (isUnsupported && !this.#allowUnsupported) {
        throw bootstrapError("ERR_FEATURE_UNSUPPORTED", "encrypted or batch chunks in RAFS v5");
      }
      const blob = this.#tables.blobs[record.blobIndex];
      if (blob === undefined) fail(`chunk ${k} in blob ${record.blobIndex} of ${this.#tables.blobs.length}`);
      else if (!isUnsupported) checkInBlob(record, blob, (what) => fail(`chunk ${k} ${what}`));
      chunks.push(this.#add(record));
    }
    return chunks;
  }

  /** The blobs; call it when all chunks were read. */
  blobs(): Blob[] {
    return this.#tables.blobs.map((blob, blobIndex) => {
      const measured = blob.extended ?? this.#number(blobIndex);
      return {
        id: blob.id,
        features: measured.features,
        compressor: this.#tables.compressor,
        digester: this.#tables.digester,
        chunkSize: this.#tables.superblock.chunkSize,
        chunkCount: measured.chunkCount,
        storedSize: measured.storedSize,
        decodedSize: measured.decodedSize,
        chunkInformation: undefined,
        tocDigest: undefined,
        tocSize: 0,
      };
    });
  }

  #decode(offset: number, fail: (what: string) => never): ChunkRecord {
    try {
      return decodeChunkRecord(this.#view, offset);
    } catch (error) {
      if (error instanceof RangeError) fail(error.message);
      throw error;
    }
  }

  #add(record: ChunkRecord): Chunk {
    const { blobIndex, index, digest, decodedOffset, decodedSize, storedOffset, storedSize } = record;
    const crc32c = (record.flags & CHUNK_RECORD_FLAGS.HAS_CRC32C) === 0 ? undefined : record.crc32c;
    const chunk = {
      blobIndex,
      index,
      digest,
      decodedOffset,
      decodedSize,
      storedOffset,
      storedSize,
      crc32c,
    };
    if (this.#tables.blobs[blobIndex]?.extended === undefined) {
      const list = this.#unnumbered.get(blobIndex);
      if (list === undefined) this.#unnumbered.set(blobIndex, [chunk]);
      else list.push(chunk);
    }
    return chunk;
  }

  /**
   * Old builders left the index of a chunk open: chunks are then numbered in the order they are stored,
   * which is how all builders number them. Sizes of the blob are what the chunks reach.
   */
  #number(blobIndex: number): {
    readonly features: number;
    readonly chunkCount: number;
    readonly storedSize: number;
    readonly decodedSize: number;
  } {
    const chunks = this.#unnumbered.get(blobIndex) ?? [];
    chunks.sort((left, right) => left.decodedOffset - right.decodedOffset);
    let index = -1;
    let lastOffset = -1;
    let storedSize = 0;
    let decodedSize = 0;
    for (const chunk of chunks) {
      if (chunk.decodedOffset !== lastOffset) index++;
      lastOffset = chunk.decodedOffset;
      chunk.index = index;
      storedSize = Math.max(storedSize, (chunk.storedOffset ?? 0) + (chunk.storedSize ?? 0));
      decodedSize = Math.max(decodedSize, chunk.decodedOffset + chunk.decodedSize);
    }
    return { features: 0, chunkCount: index + 1, storedSize, decodedSize };
  }
}

function checkInBlob(record: ChunkRecord, blob: V5BlobRow, fail: (what: string) => never): void {
  const { flags, storedSize, decodedSize, storedOffset, decodedOffset } = record;
  if (storedSize < 1 || storedSize > BOOTSTRAP_LIMITS.maxChunkSize) fail(`of ${storedSize} stored bytes`);
  const isCompressed = (flags & CHUNK_RECORD_FLAGS.COMPRESSED) !== 0;
  if (!isCompressed && storedSize !== decodedSize) {
    fail(`is stored raw in ${storedSize} bytes, decoded in ${decodedSize}`);
  }
  const storedEnd = storedOffset + storedSize;
  const decodedEnd = decodedOffset + decodedSize;
  if (storedEnd > BOOTSTRAP_LIMITS.storedSize || decodedEnd > BOOTSTRAP_LIMITS.decodedSize) {
    fail(`is stored up to ${storedEnd}, decoded up to ${decodedEnd}`);
  }
  const { extended } = blob;
  if (extended === undefined) return;
  if (record.index >= extended.chunkCount) fail(`is chunk ${record.index} of ${extended.chunkCount}`);
  if (decodedEnd > extended.decodedSize) fail(`is decoded up to ${decodedEnd} of ${extended.decodedSize}`);
  if (storedEnd > extended.storedSize) fail(`is stored up to ${storedEnd} of ${extended.storedSize}`);
  if ((extended.features & BLOB_FEATURES.ALIGNED) !== 0 && decodedOffset % 4096 !== 0) {
    fail(`has decoded offset ${decodedOffset}`);
  }
}
