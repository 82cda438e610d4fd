import { createHash } from "node:crypto";
import type { Compressor } from "#src/base/algorithm.js";
import { CodedError } from "#src/base/errors.js";
import { compressChunk } from "#src/codec/compress.js";
import { digestChunk } from "#src/codec/digest.js";
import { CHUNK_COMPRESSED, ChunkTable } from "#src/format/blob/chunk-table.js";
import type { BlobSource } from "#src/store/blob-source.js";
import type { CacheableBlob } from "#src/store/chunk-cache.js";
import type { ChunkSink, ChunkSource, FetchOptions } from "#src/store/chunk-source.js";

/** A blob made in a test, with its bytes in both spaces. */
export interface TestBlob {
  readonly blob: CacheableBlob;
  readonly stored: Uint8Array;
  readonly chunks: readonly Uint8Array[];
}

const CHUNK_SIZE = 4096;

/** A blob of `count` chunks that compress well or not at all, in turn. */
export function makeBlob(count: number, compressor: Compressor = "zstd"): TestBlob {
  const table = new ChunkTable(count);
  const digests = new Uint8Array(count * 32);
  const chunks: Uint8Array[] = [];
  const parts: Uint8Array[] = [];
  let storedOffset = 0;
  for (let index = 0; index < count; index++) {
    const chunk = makeChunk(index);
    const { bytes, isCompressed } = compressChunk(compressor, chunk);
    table.storedOffsets[index] = storedOffset;
    table.storedSizes[index] = bytes.length;
    table.decodedOffsets[index] = index * CHUNK_SIZE;
    table.decodedSizes[index] = chunk.length;
    table.flags[index] = isCompressed ? CHUNK_COMPRESSED : 0;
    digests.set(digestChunk("blake3", chunk), index * 32);
    storedOffset += bytes.length;
    chunks.push(chunk);
    parts.push(bytes);
  }
  const stored = new Uint8Array(Buffer.concat(parts));
  const id = createHash("sha256").update(stored).digest("hex");
  const decodedSize = count * CHUNK_SIZE;
  return { blob: { id, compressor, digester: "blake3", table, digests, decodedSize }, stored, chunks };
}

function makeChunk(index: number): Uint8Array {
  const chunk = new Uint8Array(index % 3 === 2 ? 1000 + index : CHUNK_SIZE);
  if (index % 2 === 0) return chunk.fill(index + 1);
  let state = index + 1;
  for (let at = 0; at < chunk.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    chunk[at] = state >>> 24;
  }
  return chunk;
}

/** A blob source over bytes in memory that remembers what it was asked for. */
export interface MemoryBlobs extends BlobSource {
  readonly requests: { readonly offset: number; readonly length: number }[];
}

/** Serves `stored` under the id of `blob`; `tamper` may change what it answers. */
export function memoryBlobs(
  { blob, stored }: TestBlob,
  tamper: (bytes: Uint8Array, offset: number) => Uint8Array | Promise<Uint8Array> = (bytes) => bytes,
): MemoryBlobs {
  const requests: { offset: number; length: number }[] = [];
  return {
    name: "memory",
    requests,
    async read(blobId, offset, length, { signal }) {
      requests.push({ offset, length });
      if (blobId !== blob.id) throw new CodedError("ERR_BLOB_NOT_FOUND", `no blob ${blobId}`);
      const bytes = await tamper(stored.slice(offset, offset + length), offset);
      if (signal.aborted) throw new CodedError("ERR_ABORTED", "the read was given up");
      return bytes;
    },
    size: async () => stored.length,
  };
}

/** Gathers what a source gives, and fails when a chunk comes twice. */
export function gather(): { readonly found: Map<number, Uint8Array>; readonly sink: ChunkSink } {
  const found = new Map<number, Uint8Array>();
  return {
    found,
    sink(index, decoded) {
      if (found.has(index)) throw new Error(`chunk ${index} came twice`);
      found.set(index, Uint8Array.prototype.slice.call(decoded));
    },
  };
}

/** A fetch that gives every chunk of the run. */
export function giving({ chunks }: TestBlob): ChunkSource["fetch"] {
  return async (_blob, run, _options, sink) => {
    for (let index = run.first; index < run.first + run.count; index++) {
      await sink(index, chunks[index] as Uint8Array);
    }
  };
}

/** Options of a demand fetch that nobody gives up. */
export const DEMAND: FetchOptions = { class: "demand", signal: new AbortController().signal };
