import { type FileHandle, open } from "node:fs/promises";
import { throwIfAborted } from "../base/abort.ts";
import type { Compressor, Digester } from "../base/algorithm.ts";
import { equalBytes } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import type { ReadTask } from "../codec/chunk-tasks.ts";
import type { ChunkWorkers } from "../codec/chunk-workers.ts";
import { decompressChunk } from "../codec/decompress.ts";
import { DIGEST_LENGTH, sha256 } from "../codec/digest.ts";
import { taskError } from "../codec/task-failure.ts";
import { type BlobSection, findBlobSections, SECTION_NAMES } from "../format/blob/blob-sections.ts";
import { decodeChunkTable } from "../format/blob/chunk-information.ts";
import { decodeChunkInformationHeader } from "../format/blob/chunk-information-header.ts";
import { ChunkTable } from "../format/blob/chunk-table.ts";
import type { ChunkInformationLocation } from "../image/chunk.ts";

/** What a blob file turned out to hold when it was read again. */
export interface ReadBackBlob {
  readonly table: ChunkTable;
  /** 32 bytes per chunk, over the bytes that were decoded. */
  readonly digests: Uint8Array;
  /** Absent for a blob without chunks. */
  readonly chunkInformation: ChunkInformationLocation | undefined;
  readonly decodedSize: number;
  /** The decoded bootstrap of the layer. */
  readonly bootstrap: Uint8Array;
}

/** How the blob was meant to be written. */
export interface BlobAlgorithms {
  readonly compressor: Compressor;
  readonly digester: Digester;
}

/** A bootstrap is read whole; nothing this toolkit writes comes near. */
const MAX_BOOTSTRAP_SIZE = 2 ** 31;

/** Stored bytes and chunks that a worker reads at once; a larger chunk goes alone. */
const MAX_RUN_SIZE = 2 ** 20;
const MAX_RUN_CHUNKS = 1024;

/**
 * Reads a written blob file through its own table of contents and chunk information: decodes every
 * chunk, and checks every digest that the file carries.
 *
 * Nothing is taken from the writer but the algorithms. Memory is the chunk table, and a batch of stored chunks
 * for each task of the workers.
 *
 * @throws {CodedError} ERR_BLOB_CORRUPT, ERR_CHUNK_CORRUPT, ERR_CODEC_FAILED, ERR_ABORTED.
 */
export async function readBackBlob(
  path: string,
  algorithms: BlobAlgorithms,
  workers: ChunkWorkers,
  signal: AbortSignal,
): Promise<ReadBackBlob> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const read = (offset: number, length: number): Promise<Uint8Array> =>
    readExactly(file, path, offset, length);
  const { sections } = await findBlobSections(size, read);
  const load = async (section: BlobSection, name: string): Promise<Uint8Array> => {
    const decodedSize = section.decodedSize ?? section.storedSize;
    if (decodedSize > MAX_BOOTSTRAP_SIZE) {
      throw new CodedError("ERR_BLOB_CORRUPT", `section ${name} of ${path} has ${decodedSize} bytes`);
    }
    const stored = await read(section.offset, section.storedSize);
    const decoded = decompressChunk(section.compressor, stored, decodedSize);
    if (section.digest !== undefined && !equalBytes(sha256(decoded), section.digest)) {
      throw new CodedError("ERR_BLOB_CORRUPT", `section ${name} of ${path} does not match its digest`);
    }
    return decoded;
  };
  const loadByName = async (name: string): Promise<Uint8Array> => {
    const section = sections.get(name);
    if (section === undefined) throw new CodedError("ERR_BLOB_CORRUPT", `${path} has no section ${name}`);
    return load(section, name);
  };

  const bootstrap = await loadByName(SECTION_NAMES.BOOTSTRAP);
  const chunks = sections.get(SECTION_NAMES.CHUNKS);
  if (chunks === undefined) {
    const none = { table: new ChunkTable(0), digests: new Uint8Array(0) };
    return { ...none, chunkInformation: undefined, decodedSize: 0, bootstrap };
  }
  const header = decodeChunkInformationHeader(await loadByName(SECTION_NAMES.CHUNK_INFORMATION_HEADER));
  const decodedSize = chunks.decodedSize ?? 0;
  const table = decodeChunkTable(await loadByName(SECTION_NAMES.CHUNK_INFORMATION), {
    features: header.features,
    compressor: algorithms.compressor,
    chunkCount: header.chunkCount,
    storedEnd: chunks.storedSize,
    decodedSize,
  });
  const digests = await decodeChunks(table, { ...algorithms, fd: file.fd, path }, workers, signal);
  if (!equalBytes(digests, await loadByName(SECTION_NAMES.DIGESTS))) {
    throw new CodedError("ERR_BLOB_CORRUPT", `chunks of ${path} do not match the digests it carries`);
  }
  const { compressor, offset, storedSize } = header;
  const chunkInformation = { compressor, offset, storedSize, decodedSize: header.decodedSize };
  return { table, digests, chunkInformation, decodedSize, bootstrap };
}

/** An open blob file. */
interface OpenBlob extends BlobAlgorithms {
  readonly fd: number;
  readonly path: string;
}

async function decodeChunks(
  table: ChunkTable,
  blob: OpenBlob,
  workers: ChunkWorkers,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const digests = new Uint8Array(table.count * DIGEST_LENGTH);
  const decode = async ({ first, end }: ChunkRun): Promise<void> => {
    throwIfAborted(signal);
    const decoded = await workers.read(readTask(table, blob, first, end));
    if (decoded.failed !== undefined) {
      const cause = taskError(decoded.failed.failure);
      const index = first + decoded.failed.position;
      throw new CodedError("ERR_CHUNK_CORRUPT", `chunk ${index} of ${blob.path} does not decode`, { cause });
    }
    digests.set(decoded.digests, first * DIGEST_LENGTH);
  };
  const runs = chunkRuns(table);
  // The runs are taken by a few readers, so that the tasks of a large blob do not wait in memory.
  const readers = Array.from({ length: 2 * workers.width }, async () => {
    for (let next = runs.next(); next.done !== true; next = runs.next()) await decode(next.value);
  });
  const ended = await Promise.allSettled(readers);
  for (const reader of ended) if (reader.status === "rejected") throw reader.reason;
  return digests;
}

/** Chunks `first` to `end - 1`. */
interface ChunkRun {
  readonly first: number;
  readonly end: number;
}

/** Cuts the table into runs of chunks whose stored bytes lie together. */
function* chunkRuns(table: ChunkTable): Generator<ChunkRun, void, undefined> {
  let first = 0;
  let low = 0;
  let high = 0;
  for (let index = 0; index < table.count; index++) {
    const start = table.storedOffsets[index] ?? 0;
    const end = start + (table.storedSizes[index] ?? 0);
    const isApart = Math.max(high, end) - Math.min(low, start) > MAX_RUN_SIZE;
    if (index > first && (isApart || index - first === MAX_RUN_CHUNKS)) {
      yield { first, end: index };
      first = index;
    }
    low = index === first ? start : Math.min(low, start);
    high = index === first ? end : Math.max(high, end);
  }
  if (first < table.count) yield { first, end: table.count };
}

function readTask(
  table: ChunkTable,
  { fd, compressor, digester }: OpenBlob,
  first: number,
  end: number,
): ReadTask {
  return {
    kind: "read",
    fd,
    compressor,
    digester,
    storedOffsets: Float64Array.from(table.storedOffsets.subarray(first, end)),
    storedSizes: Uint32Array.from(table.storedSizes.subarray(first, end)),
    decodedSizes: Uint32Array.from(table.decodedSizes.subarray(first, end)),
    isCompressed: Uint8Array.from({ length: end - first }, (_, at) => Number(table.isCompressed(first + at))),
  };
}

async function readExactly(
  file: FileHandle,
  path: string,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0) {
      throw new CodedError("ERR_BLOB_CORRUPT", `${path} ends before ${offset + length}`);
    }
    filled += bytesRead;
  }
  return bytes;
}
