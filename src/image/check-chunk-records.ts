import { alignUp, byteString, compareByteStrings, isZero } from "../base/bytes.ts";
import { storedChunksEnd, unsupportedBlobFeature } from "../format/blob/chunk-information.ts";
import { DECODED_ALIGNMENT } from "../format/blob/chunk-table.ts";
import type { BlobRecord } from "../format/rafs/blob-record.ts";
import {
  CHUNK_RECORD_FLAGS,
  CHUNK_RECORD_SIZE,
  type ChunkRecord,
  decodeChunkRecord,
} from "../format/rafs/chunk-record.ts";
import { compressorOfNumber, SUPER_FLAGS } from "../format/rafs/features.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import type { CheckContext } from "./check-context.ts";
import { type Place, pathOf } from "./finding.ts";

const WHERE = "chunk table";

/** A record, and whether a file led to it. */
interface SeenRecord {
  readonly record: ChunkRecord;
  isUsed: boolean;
}

/** A chunk as a file's array names it. */
export interface ChunkReference {
  readonly blobIndex: number;
  readonly chunkIndex: number;
  /** Start in the decoded space of the blob, bytes. */
  readonly decodedOffset: number;
  /** Bytes of the file the chunk covers. */
  readonly decodedSize: number;
}

/** Checks the chunk table by itself and against the chunks that files name. */
export class ChunkRecordCheck {
  readonly #context: CheckContext;
  /** Rows to check. */
  readonly #count: number;
  readonly #seen = new Map<number, SeenRecord>();

  constructor(context: CheckContext) {
    const { chunkTableSize, flags } = context.extended;
    this.#context = context;
    // Records of tarfs carry no digest, so that all chunks of a blob share one: they say nothing.
    this.#count = (flags & SUPER_FLAGS.TARFS) !== 0 ? 0 : Math.floor(chunkTableSize / CHUNK_RECORD_SIZE);
  }

  /** Checks every record; call it before {@link reference}. */
  readRecords(): void {
    const { extended, view, findings } = this.#context;
    let previousKey = "";
    for (let row = 0; row < this.#count && !findings.isFull; row++) {
      const where = `${WHERE} row ${row}`;
      let record: ChunkRecord;
      try {
        record = decodeChunkRecord(view, extended.chunkTableOffset + row * CHUNK_RECORD_SIZE);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        findings.add("number-too-large", where, error.message);
        continue;
      }
      const { blobIndex, index } = record;
      const key = byteString(record.digest) + String.fromCharCode(blobIndex >>> 16, blobIndex & 0xffff);
      if (row > 0 && compareByteStrings(previousKey, key) > 0) {
        findings.add("chunk-table-unsorted", where, "its digest is below that of the row before");
      }
      previousKey = key;
      const blob = this.#context.blobs[blobIndex];
      if (blob === undefined) {
        findings.add(
          "chunk-record-blob-invalid",
          where,
          `blob ${blobIndex} of ${this.#context.blobs.length}`,
        );
        continue;
      }
      if (index >= blob.chunkCount) {
        findings.add("chunk-record-index-invalid", where, `chunk ${index} of ${blob.chunkCount}`);
        continue;
      }
      this.#checkRange(record, blob, where);
      if (this.#seen.has(keyOf(blobIndex, index))) {
        findings.add("chunk-record-duplicate", where, `blob ${blobIndex} chunk ${index} has a row already`);
      } else {
        this.#seen.set(keyOf(blobIndex, index), { record, isUsed: false });
      }
    }
    this.#checkOrder();
  }

  /** Checks a chunk that the file at `place` names. */
  reference(chunk: ChunkReference, place: Place): void {
    if (this.#count === 0) return;
    const { findings } = this.#context;
    const { blobIndex, chunkIndex } = chunk;
    const seen = this.#seen.get(keyOf(blobIndex, chunkIndex));
    const name = `blob ${blobIndex} chunk ${chunkIndex}`;
    if (seen === undefined) {
      findings.add("chunk-record-missing", pathOf(place), `${name} is not in the chunk table`);
      return;
    }
    seen.isUsed = true;
    const { record } = seen;
    if (isZero(record.digest)) {
      findings.add("chunk-record-digest-missing", pathOf(place), `${name} has no digest to prove it`);
    }
    if (record.decodedOffset !== chunk.decodedOffset) {
      const found = `${name} starts at ${chunk.decodedOffset}`;
      findings.add(
        "chunk-record-start-mismatch",
        pathOf(place),
        `${found}, its record says ${record.decodedOffset}`,
      );
    }
    if (record.decodedSize !== chunk.decodedSize) {
      const found = `${name} covers ${chunk.decodedSize} bytes`;
      findings.add(
        "chunk-record-size-mismatch",
        pathOf(place),
        `${found}, its record says ${record.decodedSize}`,
      );
    }
  }

  /** Reports records no file leads to; call it when the whole tree was walked. */
  finish(): void {
    for (const { record, isUsed } of this.#seen.values()) {
      if (isUsed) continue;
      const what = `blob ${record.blobIndex} chunk ${record.index} is in no file`;
      this.#context.findings.add("chunk-record-unused", WHERE, what);
      if (this.#context.findings.isFull) return;
    }
  }

  #checkRange(record: ChunkRecord, blob: BlobRecord, where: string): void {
    const { storedOffset, storedSize, decodedOffset, decodedSize } = record;
    const { extended, findings } = this.#context;
    const compressor = compressorOfNumber(blob.compressor) ?? "none";
    // In batch, zran, external and tarfs blobs the fields mean other things, or nothing.
    if (unsupportedBlobFeature({ features: blob.features, compressor }) !== undefined) return;
    const storedEnd = storedChunksEnd({
      features: blob.features,
      storedSize: blob.storedSize,
      chunkInformation: {
        offset: blob.chunkInformationOffset,
        decodedSize: blob.chunkInformationDecodedSize,
      },
    });
    if (
      decodedSize < 1 ||
      decodedSize > extended.chunkSize ||
      storedSize < 1 ||
      storedSize > BOOTSTRAP_LIMITS.maxChunkSize ||
      storedOffset + storedSize > storedEnd ||
      decodedOffset % DECODED_ALIGNMENT !== 0 ||
      decodedOffset + decodedSize > alignUp(blob.decodedSize, DECODED_ALIGNMENT)
    ) {
      const stored = `${storedSize} stored bytes at ${storedOffset}`;
      findings.add(
        "chunk-record-range-invalid",
        where,
        `${stored}, ${decodedSize} decoded at ${decodedOffset}`,
      );
    }
    const has = (bit: number): boolean => (record.flags & bit) !== 0;
    if (
      (!has(CHUNK_RECORD_FLAGS.COMPRESSED) && storedSize !== decodedSize) ||
      // The array of the blob cannot say zero either.
      (has(CHUNK_RECORD_FLAGS.HAS_CRC32C) && record.crc32c === 0)
    ) {
      const what = `flags 0x${record.flags.toString(16)} with ${storedSize} stored and ${decodedSize} decoded bytes`;
      findings.add("chunk-record-flags-invalid", where, `${what}, CRC-32C ${record.crc32c}`);
    }
  }

  /** Chunks of a blob rise in both spaces with their index, or the blob's own array disagrees. */
  #checkOrder(): void {
    const { findings, blobs } = this.#context;
    const records = [...this.#seen].sort(([left], [right]) => left - right).map(([, { record }]) => record);
    let previous: ChunkRecord | undefined;
    for (const record of records) {
      const compressor = compressorOfNumber(blobs[record.blobIndex]?.compressor ?? 0) ?? "none";
      const features = blobs[record.blobIndex]?.features ?? 0;
      if (unsupportedBlobFeature({ features, compressor }) !== undefined) continue;
      if (
        previous?.blobIndex === record.blobIndex &&
        (previous.storedOffset + previous.storedSize > record.storedOffset ||
          previous.decodedOffset + previous.decodedSize > record.decodedOffset)
      ) {
        const what = `blob ${record.blobIndex} chunk ${record.index} lies before the end of chunk ${previous.index}`;
        findings.add("chunk-record-order-invalid", WHERE, what);
      }
      previous = record;
    }
  }
}

function keyOf(blobIndex: number, chunkIndex: number): number {
  return blobIndex * 2 ** 24 + chunkIndex;
}
