import type { ByteString } from "../base/bytes.ts";
import type { Chunk } from "../image/chunk.ts";
import type { LayerEntry } from "../image/layer-entry.ts";

/** Entries of one pack. */
const PACK_SIZE = 4096;

const TYPES = ["file", "dir", "symlink", "hardlink", "char", "block", "fifo", "socket"] as const;

/** Numbers of an entry: type, mode, uid, gid, seconds, nanoseconds, then two that depend on the type. */
const STRIDE = 8;

const NO_XATTRS: ReadonlyMap<ByteString, Uint8Array> = new Map();

/**
 * Entries of a layer in few large pieces: cheap to send to another thread, and a fraction of the memory of objects
 * until they are wanted.
 */
export interface PackedEntries {
  /** {@link STRIDE} for each entry; the last two are bytes and chunks of a file, major and minor of a device. */
  readonly numbers: Float64Array<ArrayBuffer>;
  /** Each path with a NUL, which paths do not hold, behind it. */
  readonly paths: string;
  /** Targets of symlinks and hard links, in the same way. */
  readonly targets: string;
  /** Numbers of the files' chunks, one file after the other. */
  readonly chunks: Uint32Array<ArrayBuffer>;
  /** Of the entries that have any, by their position. */
  readonly xattrs: ReadonlyMap<number, ReadonlyMap<ByteString, Uint8Array>>;
}

/** Packs the entries of a layer as they come. */
export class EntryPacker {
  readonly #send: (packed: PackedEntries) => void;
  #numbers = new Float64Array(PACK_SIZE * STRIDE);
  #count = 0;
  #paths: ByteString[] = [];
  #targets: ByteString[] = [];
  #chunks: number[] = [];
  #xattrs = new Map<number, ReadonlyMap<ByteString, Uint8Array>>();

  constructor(send: (packed: PackedEntries) => void) {
    this.#send = send;
  }

  /** @param chunks Numbers of the chunks of a file, in the place of those of the entry. */
  add(entry: LayerEntry, chunks: readonly number[]): void {
    const { mode, uid, gid, mtime, xattrs } = entry;
    const common = [TYPES.indexOf(entry.type), mode, uid, gid, mtime.seconds, mtime.nanoseconds];
    this.#numbers.set(common, this.#count * STRIDE);
    if (entry.type === "file") this.#numbers.set([entry.size, chunks.length], this.#count * STRIDE + 6);
    if ("major" in entry) this.#numbers.set([entry.major, entry.minor], this.#count * STRIDE + 6);
    if ("linkTarget" in entry) this.#targets.push(entry.linkTarget);
    this.#paths.push(entry.path);
    for (const chunk of chunks) this.#chunks.push(chunk);
    if (xattrs.size > 0) this.#xattrs.set(this.#count, xattrs);
    if (++this.#count === PACK_SIZE) this.finish();
  }

  /** Sends what is left. */
  finish(): void {
    if (this.#count === 0) return;
    this.#send({
      numbers: this.#numbers.slice(0, this.#count * STRIDE),
      paths: `${this.#paths.join("\0")}\0`,
      targets: `${this.#targets.join("\0")}\0`,
      chunks: Uint32Array.from(this.#chunks),
      xattrs: this.#xattrs,
    });
    this.#count = 0;
    this.#paths = [];
    this.#targets = [];
    this.#chunks = [];
    this.#xattrs = new Map();
  }
}

/**
 * The entries of a layer, unpacked one by one each time it is walked.
 *
 * @param chunks By their numbers.
 */
export function unpackEntries(
  packs: readonly PackedEntries[],
  chunks: readonly Chunk[],
): Iterable<LayerEntry> {
  return {
    *[Symbol.iterator]() {
      for (const pack of packs) yield* unpackOne(pack, chunks);
    },
  };
}

function* unpackOne(pack: PackedEntries, chunks: readonly Chunk[]): Generator<LayerEntry, void, undefined> {
  const { numbers, xattrs } = pack;
  const paths = pack.paths.split("\0");
  const targets = pack.targets.split("\0");
  let nextTarget = 0;
  let nextChunk = 0;
  for (let position = 0; position * STRIDE < numbers.length; position++) {
    const at = (field: number): number => numbers[position * STRIDE + field] ?? 0;
    const common = {
      path: paths[position] ?? "",
      mode: at(1),
      uid: at(2),
      gid: at(3),
      mtime: { seconds: at(4), nanoseconds: at(5) },
      xattrs: xattrs.get(position) ?? NO_XATTRS,
    };
    const type = TYPES[at(0)];
    switch (type) {
      case "file": {
        const numbersOfChunks = pack.chunks.subarray(nextChunk, nextChunk + at(7));
        nextChunk += at(7);
        yield { type, ...common, size: at(6), chunks: chunksOf(numbersOfChunks, chunks) };
        break;
      }
      case "symlink":
      case "hardlink":
        yield { type, ...common, linkTarget: targets[nextTarget++] ?? "" };
        break;
      case "char":
      case "block":
        yield { type, ...common, major: at(6), minor: at(7) };
        break;
      case "dir":
      case "fifo":
      case "socket":
        yield { type, ...common };
        break;
      case undefined:
        throw new TypeError(`packed entry of type ${at(0)}`);
    }
  }
}

const NO_CHUNKS: readonly Chunk[] = [];

function chunksOf(numbers: Uint32Array, chunks: readonly Chunk[]): readonly Chunk[] {
  if (numbers.length === 0) return NO_CHUNKS;
  return Array.from(numbers, (number) => {
    const chunk = chunks[number];
    if (chunk === undefined) throw new TypeError(`a file with chunk ${number} of ${chunks.length}`);
    return chunk;
  });
}
