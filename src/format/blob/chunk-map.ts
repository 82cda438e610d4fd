import { isZero, viewOf } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";

/** Bytes in front of the bits of a chunk map. */
export const CHUNK_MAP_HEADER_SIZE = 4096;

const MAGIC = 0x424d4150;
const VERSION = 1;
const SECOND_MAGIC = 0x434d4150;
const ALL_READY_MAGIC = 0x4d4d4150;
const ALL_READY_OFFSET = 12;

/** Which chunks of a cached blob are ready, as `ID.blob.data.chunk_map` records it. */
export interface ChunkMap {
  /** When true every chunk is ready, whatever the bits say. */
  readonly isAllReady: boolean;
  /** Chunk i is bit `0x80 >> (i & 7)` of byte `i >> 3`. */
  readonly bits: Uint8Array;
}

/** Bytes of the chunk map file of a blob with `chunkCount` chunks. */
export function chunkMapSize(chunkCount: number): number {
  return CHUNK_MAP_HEADER_SIZE + Math.ceil(chunkCount / 8);
}

/** Where in a chunk map file the bit of a chunk lies. */
export function chunkMapBit(index: number): { readonly offset: number; readonly mask: number } {
  return { offset: CHUNK_MAP_HEADER_SIZE + (index >> 3), mask: 0x80 >> (index & 7) };
}

/** True when chunk `index` is marked ready. */
export function isChunkReady(map: ChunkMap, index: number): boolean {
  return map.isAllReady || ((map.bits[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0;
}

/**
 * Reads a chunk map file. The bits are a view of `bytes`. A file of zeros is a map without ready chunks:
 * that is how one starts its life.
 *
 * On disk (little-endian): u32 magic, version, second magic, all-ready magic or 0, zeros to 4096, bits.
 *
 * @throws {CodedError} ERR_CACHE_CORRUPT when the length or a magic number is not a chunk map's.
 * @see Nydus storage, persistent chunk map
 */
export function decodeChunkMap(bytes: Uint8Array, chunkCount: number): ChunkMap {
  if (chunkCount < 1 || bytes.length !== chunkMapSize(chunkCount)) {
    throw new CodedError(
      "ERR_CACHE_CORRUPT",
      `chunk map of ${chunkCount} chunks has ${bytes.length} bytes, not ${chunkMapSize(chunkCount)}`,
    );
  }
  const bits = bytes.subarray(CHUNK_MAP_HEADER_SIZE);
  const view = viewOf(bytes);
  if (
    view.getUint32(0, true) === MAGIC &&
    view.getUint32(4, true) === VERSION &&
    view.getUint32(8, true) === SECOND_MAGIC
  ) {
    return { isAllReady: view.getUint32(ALL_READY_OFFSET, true) === ALL_READY_MAGIC, bits };
  }
  if (isZero(bytes)) return { isAllReady: false, bits };
  throw new CodedError("ERR_CACHE_CORRUPT", "chunk map has no magic number");
}

/** The 4096 bytes in front of the bits. */
export function encodeChunkMapHeader(isAllReady: boolean): Uint8Array {
  const bytes = new Uint8Array(CHUNK_MAP_HEADER_SIZE);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, VERSION, true);
  view.setUint32(8, SECOND_MAGIC, true);
  view.setUint32(ALL_READY_OFFSET, isAllReady ? ALL_READY_MAGIC : 0, true);
  return bytes;
}

/** The bytes of a chunk map file. */
export function encodeChunkMap(map: ChunkMap): Uint8Array {
  const bytes = new Uint8Array(CHUNK_MAP_HEADER_SIZE + map.bits.length);
  bytes.set(encodeChunkMapHeader(map.isAllReady));
  bytes.set(map.bits, CHUNK_MAP_HEADER_SIZE);
  return bytes;
}
