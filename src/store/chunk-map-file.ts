import { isCoded } from "../base/errors.ts";
import {
  CHUNK_MAP_HEADER_SIZE,
  chunkMapSize,
  decodeChunkMap,
  encodeChunkMapHeader,
} from "../format/blob/chunk-map.ts";
import {
  type CacheFile,
  cacheCorruptError,
  cacheIoError,
  type OpenCacheFile,
  readFully,
  writeFully,
} from "./cache-file.ts";
import { createReadyBits, type ReadyBits } from "./ready-bits.ts";

/**
 * The chunk map of one cached blob on disk: which chunks survive a power cut.
 *
 * Other processes, nydusd among them, set bits of the same file. Nobody clears bits, so a byte is
 * written as what the file holds now or-ed with all bits this process ever set.
 *
 * @see docs/decisions/004-shared-chunk-map.md
 */
export class ChunkMapFile {
  readonly path: string;
  readonly #file: CacheFile;
  /** Bits that this process vouches for. */
  readonly #own: Uint8Array;

  private constructor(path: string, file: CacheFile, chunkCount: number) {
    this.path = path;
    this.#file = file;
    this.#own = new Uint8Array(chunkMapSize(chunkCount) - CHUNK_MAP_HEADER_SIZE);
  }

  /**
   * Opens the file, made when it is absent.
   *
   * @returns The map, and which chunks the file says are there: claims, to be verified.
   * @throws {CodedError} ERR_CACHE_CORRUPT when the file is not a map of `chunkCount` chunks.
   */
  static async open(
    path: string,
    chunkCount: number,
    openFile: OpenCacheFile,
  ): Promise<{ map: ChunkMapFile; claims: ReadyBits }> {
    const file = await openFile(path);
    try {
      const size = chunkMapSize(chunkCount);
      const found = await fillEmpty(file, path, size);
      if (found !== size) {
        throw cacheCorruptError(path, `has ${found} bytes, ${chunkCount} chunks need ${size}`);
      }
      const bytes = await readFully(file, path, 0, size);
      const claims = decodeClaims(bytes, chunkCount, path);
      // All zeros: just made, by us or by a process that stopped, or is about to write the same header.
      if (bytes[0] === 0) await writeFully(file, path, 0, encodeChunkMapHeader(false));
      return { map: new ChunkMapFile(path, file, chunkCount), claims };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * Sets the bits of chunks whose bytes are on the disk already.
   *
   * @throws {CodedError} ERR_CACHE_IO.
   */
  async set(indexes: readonly number[]): Promise<void> {
    const touched = new Set<number>();
    for (const index of indexes) {
      this.#own[index >> 3] = (this.#own[index >> 3] as number) | (0x80 >> (index & 7));
      touched.add(index >> 3);
    }
    await this.#merge([...touched]);
  }

  /** Sets again what another process may have undone between its read and its write, and closes the file. */
  async close(): Promise<void> {
    try {
      await this.#merge([...this.#own.keys()].filter((position) => this.#own[position] !== 0));
    } finally {
      await this.#file.close();
    }
  }

  /** Writes only bytes that change, in as few writes as there are runs of them. */
  async #merge(positions: readonly number[]): Promise<void> {
    if (positions.length === 0) return;
    const first = positions.reduce((least, position) => Math.min(least, position));
    const last = positions.reduce((most, position) => Math.max(most, position));
    const bits = await readFully(this.#file, this.path, CHUNK_MAP_HEADER_SIZE + first, last - first + 1);
    let start: number | undefined;
    for (let at = 0; at <= bits.length; at++) {
      const merged = (bits[at] ?? 0) | (this.#own[first + at] ?? 0);
      const isChanged = at < bits.length && merged !== bits[at];
      if (isChanged) {
        bits[at] = merged;
        start ??= at;
      } else if (start !== undefined) {
        const offset = CHUNK_MAP_HEADER_SIZE + first + start;
        await writeFully(this.#file, this.path, offset, bits.subarray(start, at));
        start = undefined;
      }
    }
  }
}

/** Makes a file that was just created `size` bytes long; returns the length of the file. */
async function fillEmpty(file: CacheFile, path: string, size: number): Promise<number> {
  try {
    const found = (await file.stat()).size;
    if (found > 0) return found;
    await file.truncate(size);
    return size;
  } catch (cause) {
    throw cacheIoError(path, cause);
  }
}

function decodeClaims(bytes: Uint8Array, chunkCount: number, path: string): ReadyBits {
  try {
    const { bits, isAllReady } = decodeChunkMap(bytes, chunkCount);
    const claims = createReadyBits(chunkCount);
    if (isAllReady) claims.fill(0xff);
    else claims.set(bits);
    return claims;
  } catch (error) {
    if (isCoded(error)) throw cacheCorruptError(path, `is not valid: ${error.message}`);
    throw error;
  }
}
