import { readFileSync } from "node:fs";
import { viewOf } from "#src/base/bytes.js";
import { CodedError } from "#src/base/errors.js";
import { decompressChunk } from "#src/codec/decompress.js";
import { decodeChunkTable, storedChunksEnd } from "#src/format/blob/chunk-information.js";
import { CHUNK_RECORD_SIZE, decodeChunkRecord } from "#src/format/rafs/chunk-record.js";
import { blobOfRecord } from "#src/image/blob-conversion.js";
import { type BootstrapHeader, readBootstrapHeader } from "#src/image/bootstrap-header.js";
import type { BlobSource } from "#src/store/blob-source.js";
import { CachedBlobs } from "#src/store/cached-blobs.js";
import type { CacheableBlob } from "#src/store/chunk-cache.js";
import { DecodedSource } from "#src/store/decoded-source.js";
import { fixturePath } from "./fixtures.ts";

/** What a source does to a read. */
export type Fault = "none" | "flip" | "gone" | "hang";

/** The blobs of one golden run, read from its folder, with a switch for faults. */
export class FaultySource implements BlobSource {
  readonly name = "golden";
  fault: Fault = "none";
  readonly #folder: readonly string[];

  constructor(...folder: readonly string[]) {
    this.#folder = folder;
  }

  bytes(blobId: string): Uint8Array {
    return readFileSync(fixturePath(...this.#folder, blobId));
  }

  async read(
    blobId: string,
    offset: number,
    length: number,
    options: { readonly signal: AbortSignal },
  ): Promise<Uint8Array> {
    if (this.fault === "gone") throw new CodedError("ERR_SOURCE_UNAVAILABLE", "golden is gone");
    if (this.fault === "hang") {
      await new Promise((_, reject) => {
        options.signal.addEventListener("abort", () => reject(new CodedError("ERR_ABORTED", "aborted")));
      });
    }
    const bytes = this.bytes(blobId).slice(offset, offset + length);
    return this.fault === "flip" ? bytes.map((byte) => byte ^ 1) : bytes;
  }

  async size(blobId: string): Promise<number> {
    return this.bytes(blobId).length;
  }
}

/** Opens a cache for all blobs of a golden bootstrap. */
export function openGoldenCache(bootstrap: Uint8Array, source: FaultySource, directory: string): CachedBlobs {
  const header = readBootstrapHeader(bootstrap);
  return new CachedBlobs({
    load: async (index) => cacheableBlob(bootstrap, header, index, source),
    source: new DecodedSource(source),
    directory,
  });
}

function cacheableBlob(
  bootstrap: Uint8Array,
  header: BootstrapHeader,
  index: number,
  source: FaultySource,
): CacheableBlob {
  const record = header.blobs[index];
  if (record === undefined) throw new Error(`no blob ${index}`);
  const blob = blobOfRecord(record);
  const where = blob.chunkInformation;
  if (where === undefined) throw new Error(`blob ${blob.id} has no chunk information`);
  const stored = source.bytes(blob.id).subarray(where.offset, where.offset + where.storedSize);
  const isStored = where.storedSize === where.decodedSize;
  const rows = isStored ? stored : decompressChunk(where.compressor, stored, where.decodedSize);
  const table = decodeChunkTable(rows, { ...blob, storedEnd: storedChunksEnd(blob) });
  return { ...blob, table, digests: digestsOf(bootstrap, header, index, table.count) };
}

function digestsOf(bootstrap: Uint8Array, header: BootstrapHeader, blob: number, count: number): Uint8Array {
  const digests = new Uint8Array(count * 32);
  const { chunkTableOffset, chunkTableSize } = header.extended;
  for (let at = chunkTableOffset; at < chunkTableOffset + chunkTableSize; at += CHUNK_RECORD_SIZE) {
    const record = decodeChunkRecord(viewOf(bootstrap), at);
    if (record.blobIndex === blob) digests.set(record.digest, record.index * 32);
  }
  return digests;
}
