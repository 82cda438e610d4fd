import { type FileHandle, open } from "node:fs/promises";
import { throwIfAborted } from "../base/abort.ts";
import type { Compressor, Digester } from "../base/algorithm.ts";
import { equalBytes } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { decompressChunk } from "../codec/decompress.ts";
import { DIGEST_LENGTH, digestChunk, sha256 } from "../codec/digest.ts";
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

/**
 * Reads a written blob file through its own table of contents and chunk information: decodes every
 * chunk, and checks every digest that the file carries.
 *
 * Nothing is taken from the writer but the algorithms. Memory is the chunk table and one chunk.
 *
 * @throws {CodedError} ERR_BLOB_CORRUPT, ERR_CHUNK_CORRUPT, ERR_CODEC_FAILED, ERR_ABORTED.
 */
export async function readBackBlob(
  path: string,
  algorithms: BlobAlgorithms,
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
    const table = new ChunkTable(0);
    return { table, digests: new Uint8Array(0), chunkInformation: undefined, decodedSize: 0, bootstrap };
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
  const digests = await digestChunks(table, algorithms, read, path, signal);
  if (!equalBytes(digests, await loadByName(SECTION_NAMES.DIGESTS))) {
    throw new CodedError("ERR_BLOB_CORRUPT", `chunks of ${path} do not match the digests it carries`);
  }
  const { compressor, offset, storedSize } = header;
  const chunkInformation = { compressor, offset, storedSize, decodedSize: header.decodedSize };
  return { table, digests, chunkInformation, decodedSize, bootstrap };
}

async function digestChunks(
  table: ChunkTable,
  { compressor, digester }: BlobAlgorithms,
  read: (offset: number, length: number) => Promise<Uint8Array>,
  path: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const digests = new Uint8Array(table.count * DIGEST_LENGTH);
  for (let index = 0; index < table.count; index++) {
    throwIfAborted(signal);
    const stored = await read(table.storedOffsets[index] ?? 0, table.storedSizes[index] ?? 0);
    try {
      const decoded = decompressChunk(
        table.isCompressed(index) ? compressor : "none",
        stored,
        table.decodedSizes[index] ?? 0,
      );
      digests.set(digestChunk(digester, decoded), index * DIGEST_LENGTH);
    } catch (cause) {
      throw new CodedError("ERR_CHUNK_CORRUPT", `chunk ${index} of ${path} does not decode`, { cause });
    }
  }
  return digests;
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
