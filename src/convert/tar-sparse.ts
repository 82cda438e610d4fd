import { byteString } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import type { ByteReader } from "./byte-reader.ts";
import { decodeTarNumber, TAR_BLOCK_SIZE } from "./tar-header.ts";
import { MAX_FILE_SIZE, MAX_SPARSE_RUNS } from "./tar-limits.ts";
import { type PaxRecord, parsePaxInteger } from "./tar-pax.ts";

/** A run of bytes that the archive holds; all else is zeros. */
export interface SparseRun {
  readonly offset: number;
  readonly size: number;
}

/** Where the stored bytes of a sparse file belong. */
export interface SparseMap {
  /** Bytes of the file, holes included. */
  readonly size: number;
  readonly runs: readonly SparseRun[];
}

const ZEROS = new Uint8Array(1 << 16);
const GNU_RUNS_OFFSET = 386;
const GNU_RUN_SIZE = 24;
const GNU_RUNS_IN_HEADER = 4;
const GNU_RUNS_IN_EXTENSION = 21;

/**
 * Reads the map of a GNU `S` header and of the extension blocks behind it.
 *
 * @see GNU tar manual, "Storing Sparse Files", old GNU format
 */
export async function readGnuSparseMap(header: Uint8Array, reader: ByteReader): Promise<SparseMap> {
  const runs: SparseRun[] = [];
  const size = decodeTarNumber(header.subarray(483, 495), "size of a sparse file");
  takeRuns(header.subarray(GNU_RUNS_OFFSET), GNU_RUNS_IN_HEADER, runs);
  for (let isExtended = header[482] !== 0; isExtended; ) {
    const block = await reader.readExactly(TAR_BLOCK_SIZE, "a sparse map");
    takeRuns(block, GNU_RUNS_IN_EXTENSION, runs);
    isExtended = block[504] !== 0;
  }
  return { size, runs };
}

function takeRuns(bytes: Uint8Array, count: number, runs: SparseRun[]): void {
  for (let start = 0; start < count * GNU_RUN_SIZE; start += GNU_RUN_SIZE) {
    // The first unused slot ends the list of its block.
    if (bytes[start] === 0) return;
    const offset = decodeTarNumber(bytes.subarray(start, start + 12), "offset of a sparse run");
    const size = decodeTarNumber(bytes.subarray(start + 12, start + 24), "size of a sparse run");
    pushRun(runs, { offset, size });
  }
}

/** The map of GNU's pax formats 0.0 (repeated records) and 0.1 (a list); `undefined` when there is none. */
export function sparseMapOfPax(records: readonly PaxRecord[]): SparseMap | undefined {
  const find = (key: string): Uint8Array | undefined =>
    records.findLast((record) => record.key === key)?.value;
  const size = find("GNU.sparse.size");
  if (size === undefined) return undefined;
  const runs: SparseRun[] = [];
  const list = find("GNU.sparse.map");
  if (list !== undefined) {
    const numbers = byteString(list).split(",");
    if (numbers.length === 1 && numbers[0] === "") numbers.pop();
    if (numbers.length % 2 !== 0) throw invalid("map has an odd count of numbers");
    for (let index = 0; index < numbers.length; index += 2) {
      pushRun(runs, { offset: integer(numbers[index]), size: integer(numbers[index + 1]) });
    }
  } else {
    let offset: number | undefined;
    for (const { key, value } of records) {
      if (key === "GNU.sparse.offset") offset = parsePaxInteger(key, value);
      if (key !== "GNU.sparse.numbytes") continue;
      if (offset === undefined) throw invalid("map has a length without an offset");
      pushRun(runs, { offset, size: parsePaxInteger(key, value) });
      offset = undefined;
    }
  }
  return { size: parsePaxInteger("GNU.sparse.size", size), runs };
}

/**
 * Reads the map that format 1.0 puts in front of the content: decimal lines, padded to 512 bytes.
 *
 * @returns The runs, and how many of the member's stored bytes the map took.
 */
export async function readSparseLines(
  reader: ByteReader,
  storedSize: number,
): Promise<{ readonly runs: SparseRun[]; readonly mapSize: number }> {
  let text = "";
  let mapSize = 0;
  const line = async (): Promise<number> => {
    let end = text.indexOf("\n");
    while (end < 0) {
      if (mapSize + TAR_BLOCK_SIZE > storedSize || text.length > 32) throw invalid("map does not end");
      text += byteString(await reader.readExactly(TAR_BLOCK_SIZE, "a sparse map"));
      mapSize += TAR_BLOCK_SIZE;
      end = text.indexOf("\n");
    }
    const value = integer(text.slice(0, end));
    text = text.slice(end + 1);
    return value;
  };
  const runs: SparseRun[] = [];
  for (let count = await line(); count > 0; count--)
    pushRun(runs, { offset: await line(), size: await line() });
  return { runs, mapSize };
}

/**
 * Checks that a map is in order, fits its file and accounts for every stored byte.
 *
 * @throws {CodedError} ERR_LAYER_INVALID, or ERR_LIMIT_EXCEEDED for a file over MAX_FILE_SIZE.
 */
export function checkSparseMap(map: SparseMap, storedSize: number): SparseMap {
  if (map.size > MAX_FILE_SIZE) {
    throw new CodedError(
      "ERR_LIMIT_EXCEEDED",
      `sparse file has ${map.size} bytes, at most ${MAX_FILE_SIZE} are read`,
    );
  }
  let end = 0;
  let stored = 0;
  for (const { offset, size } of map.runs) {
    if (offset < end || size < 0 || offset + size > map.size) {
      throw invalid(`run of ${size} bytes at ${offset} overlaps another or leaves the file of ${map.size}`);
    }
    end = offset + size;
    stored += size;
  }
  if (stored !== storedSize) throw invalid(`map has ${stored} bytes, the archive ${storedSize}`);
  return map;
}

/** The bytes of the file: `stored` at its runs, zeros (one shared array, not to be changed) elsewhere. */
export async function* expandSparse(
  map: SparseMap,
  stored: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let offset = 0;
  let runIndex = 0;
  let inRun = 0;
  for await (const bytes of stored) {
    let piece = bytes;
    while (piece.length > 0) {
      const run = map.runs[runIndex];
      if (run === undefined) throw invalid("map ends before the stored bytes");
      yield* zeros(run.offset + inRun - offset);
      const part = piece.subarray(0, run.size - inRun);
      piece = piece.subarray(part.length);
      inRun += part.length;
      offset = run.offset + inRun;
      if (part.length > 0) yield part;
      if (inRun === run.size) {
        runIndex++;
        inRun = 0;
      }
    }
  }
  yield* zeros(map.size - offset);
}

function* zeros(size: number): Generator<Uint8Array> {
  for (let rest = size; rest > 0; rest -= ZEROS.length) yield ZEROS.subarray(0, Math.min(rest, ZEROS.length));
}

function pushRun(runs: SparseRun[], run: SparseRun): void {
  if (runs.length === MAX_SPARSE_RUNS) {
    throw new CodedError("ERR_LIMIT_EXCEEDED", `sparse file has more than ${MAX_SPARSE_RUNS} runs`);
  }
  runs.push(run);
}

function integer(text: string | undefined): number {
  const value = text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value))
    throw invalid(`map holds ${JSON.stringify(text?.slice(0, 32))}, not an integer`);
  return value;
}

function invalid(what: string): CodedError {
  return new CodedError("ERR_LAYER_INVALID", `sparse file: ${what}`);
}
