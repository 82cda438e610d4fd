import { viewOf } from "../base/bytes.ts";
import type { ChunkIndex } from "../format/erofs/chunk-index.ts";
import {
  CHUNK_RECORD_FLAGS,
  CHUNK_RECORD_SIZE,
  type ChunkRecord,
  decodeChunkRecord,
} from "../format/rafs/chunk-record.ts";
import { bootstrapError } from "./bootstrap-error.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import type { Chunk } from "./chunk.ts";

/**
 * The chunk table of a v6 bootstrap by blob and index. Files that share a chunk get the same object.
 *
 * A table may be absent or have gaps (it does not matter to nydusd): such a chunk is known by its place only.
 */
export class ChunkCatalog {
  readonly #chunks = new Map<number, Chunk>();
  readonly #blockSize: number;

  /**
   * @param bytes The whole bootstrap, which holds the table.
   * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT for a record out of range, or a second one of the same chunk.
   */
  constructor(bytes: Uint8Array, tableOffset: number, tableSize: number, blockSize: number) {
    this.#blockSize = blockSize;
    const view = viewOf(bytes);
    for (let offset = tableOffset; offset < tableOffset + tableSize; offset += CHUNK_RECORD_SIZE) {
      const record = decodeRecord(view, offset);
      const key = keyOf(record.blobIndex, record.index);
      if (this.#chunks.has(key)) {
        throw bootstrapError(
          "ERR_BOOTSTRAP_CORRUPT",
          `chunk table has chunk ${record.index} of blob ${record.blobIndex} twice`,
        );
      }
      this.#chunks.set(key, {
        blobIndex: record.blobIndex,
        index: record.index,
        digest: record.digest,
        decodedOffset: record.decodedOffset,
        decodedSize: record.decodedSize,
        storedOffset: record.storedOffset,
        storedSize: record.storedSize,
        crc32c: (record.flags & CHUNK_RECORD_FLAGS.HAS_CRC32C) !== 0 ? record.crc32c : undefined,
      });
    }
  }

  /**
   * The chunk an index points at.
   *
   * @param size Bytes of the file that the chunk covers.
   * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT when index and table contradict each other.
   */
  find(index: ChunkIndex, size: number): Chunk {
    const decodedOffset = index.startBlock * this.#blockSize;
    const key = keyOf(index.blobIndex, index.chunkIndex);
    const known = this.#chunks.get(key);
    if (known !== undefined) {
      if (known.decodedOffset !== decodedOffset || known.decodedSize !== size) {
        throw bootstrapError(
          "ERR_BOOTSTRAP_CORRUPT",
          `chunk ${index.chunkIndex} of blob ${index.blobIndex} is ${size} bytes at ${decodedOffset} for a file, ` +
            `${known.decodedSize} bytes at ${known.decodedOffset} in the chunk table`,
        );
      }
      return known;
    }
    const chunk: Chunk = {
      blobIndex: index.blobIndex,
      index: index.chunkIndex,
      digest: undefined,
      decodedOffset,
      decodedSize: size,
      storedOffset: undefined,
      storedSize: undefined,
      crc32c: undefined,
    };
    this.#chunks.set(key, chunk);
    return chunk;
  }

  /**
   * The chunks that are known, by blob, for a blob table of `blobCount` rows.
   *
   * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT for a chunk of a blob beyond it.
   */
  byBlob(blobCount: number): Chunk[][] {
    const chunks: Chunk[][] = Array.from({ length: blobCount }, () => []);
    for (const chunk of this.#chunks.values()) {
      const ofBlob = chunks[chunk.blobIndex];
      if (ofBlob === undefined) {
        throw bootstrapError(
          "ERR_BOOTSTRAP_CORRUPT",
          `chunk table has a chunk of blob ${chunk.blobIndex}, there are ${blobCount}`,
        );
      }
      ofBlob.push(chunk);
    }
    return chunks;
  }
}

function decodeRecord(view: DataView, offset: number): ChunkRecord {
  try {
    return decodeChunkRecord(view, offset);
  } catch (error) {
    throw bootstrapError("ERR_BOOTSTRAP_CORRUPT", `chunk record at ${offset}`, error);
  }
}

function keyOf(blobIndex: number, index: number): number {
  return blobIndex * BOOTSTRAP_LIMITS.chunksPerBlob + index;
}
