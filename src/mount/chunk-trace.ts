/** Which chunks of a blob were read, in memory that threads share. */
export interface ChunkTouches {
  /** How many chunks of all blobs were read. */
  readonly counter: Uint32Array<SharedArrayBuffer>;
  /** By chunk: the place of its first read among all, from 1; 0 when it was not read. */
  readonly turns: Uint32Array<SharedArrayBuffer>;
}

/** Notes that a chunk is read. Any thread may. */
export function noteTouch({ counter, turns }: ChunkTouches, chunkIndex: number): void {
  if (turns[chunkIndex] !== 0) return;
  Atomics.compareExchange(turns, chunkIndex, 0, Atomics.add(counter, 0, 1) + 1);
}

/** The chunks of an image that were read, in the order of their first reads. */
export class ChunkTrace {
  readonly #counter = new Uint32Array(new SharedArrayBuffer(4));
  readonly #turns = new Map<number, Uint32Array<SharedArrayBuffer>>();

  /** Where the reads of a blob are noted. */
  touchesOf(blobIndex: number, chunkCount: number): ChunkTouches {
    const turns = this.#turns.get(blobIndex) ?? new Uint32Array(new SharedArrayBuffer(chunkCount * 4));
    this.#turns.set(blobIndex, turns);
    return { counter: this.#counter, turns };
  }

  /** What was read so far. */
  list(): { readonly blobIndex: number; readonly chunkIndex: number }[] {
    const touched = [...this.#turns].flatMap(([blobIndex, turns]) =>
      [...turns].flatMap((turn, chunkIndex) => (turn === 0 ? [] : [{ turn, blobIndex, chunkIndex }])),
    );
    return touched.sort((left, right) => left.turn - right.turn);
  }
}
