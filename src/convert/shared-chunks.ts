import { byteString } from "../base/bytes.ts";
import type { Chunk } from "../image/chunk.ts";

/** Chunks of a layer that a lower blob of the image holds too, each once, and their decoded bytes. */
export interface SharedSize {
  readonly count: number;
  readonly size: number;
}

/**
 * Finds the one place that an image names for a chunk which several of its blobs hold: the lowest blob, so that every
 * reader fetches and caches it once, and where the layers below belong to other images too, with them.
 */
export class SharedChunks {
  readonly #places = new Map<string, Chunk>();

  /**
   * Goes through the chunks of a layer; layers come lowest first.
   *
   * @param blobIndex Number of the layer's blob in the image.
   */
  layer(blobIndex: number): LayerChunks {
    return new LayerChunks(this.#places, blobIndex);
  }
}

/** The chunks of one layer. */
export class LayerChunks {
  readonly #places: Map<string, Chunk>;
  readonly #blobIndex: number;
  /** What was found, by the position in the layer's blob. */
  readonly #found = new Map<number, Chunk>();
  #shared: SharedSize = { count: 0, size: 0 };

  constructor(places: Map<string, Chunk>, blobIndex: number) {
    this.#places = places;
    this.#blobIndex = blobIndex;
  }

  /** What {@link place} found in lower blobs so far. */
  get shared(): SharedSize {
    return this.#shared;
  }

  /** A chunk of this layer's blob as the image names it. */
  place(chunk: Chunk): Chunk {
    const found = this.#found.get(chunk.index);
    if (found !== undefined) return found;
    const place = this.#lowest(chunk);
    this.#found.set(chunk.index, place);
    if (place.blobIndex !== this.#blobIndex) {
      const { count, size } = this.#shared;
      this.#shared = { count: count + 1, size: size + chunk.decodedSize };
    }
    return place;
  }

  #lowest(chunk: Chunk): Chunk {
    const { digest, decodedSize } = chunk;
    if (digest === undefined) throw new TypeError("a chunk without a digest");
    const key = `${byteString(digest)}${decodedSize}`;
    const known = this.#places.get(key);
    if (known === undefined) {
      const own = chunk.blobIndex === this.#blobIndex ? chunk : { ...chunk, blobIndex: this.#blobIndex };
      this.#places.set(key, own);
      return own;
    }
    // All else stays what this layer read, so that the self-check compares that with the bytes at the other place.
    const { blobIndex, index, decodedOffset, storedOffset, storedSize, crc32c } = known;
    return { ...chunk, blobIndex, index, decodedOffset, storedOffset, storedSize, crc32c };
  }
}
