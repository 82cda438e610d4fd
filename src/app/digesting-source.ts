import { createSha256, type RunningDigest } from "../codec/digest.ts";
import type { BlobSource, ReadOptions } from "../store/blob-source.ts";

/** Bytes of a blob file, from `start` up to and without `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Bytes of one read of what nobody asked for. */
const PIECE_SIZE = 2 ** 20;

/**
 * A source that takes digests of one blob while it is read from start to end, so that checking chunks and
 * digests reads every byte once. What was skipped is read when a later range is asked for.
 */
export class DigestingSource implements BlobSource {
  readonly name: string;
  readonly #source: BlobSource;
  readonly #size: number;
  readonly #digests: readonly { readonly ranges: readonly ByteRange[]; readonly sha256: RunningDigest }[];
  /** Everything before this was digested. */
  #next = 0;

  /**
   * @param size Bytes of the blob file.
   * @param digests For each digest the ranges it is over, in rising order.
   */
  constructor(source: BlobSource, size: number, digests: readonly (readonly ByteRange[])[]) {
    this.name = source.name;
    this.#source = source;
    this.#size = size;
    this.#digests = digests.map((ranges) => ({ ranges, sha256: createSha256() }));
  }

  async read(blobId: string, offset: number, length: number, options: ReadOptions): Promise<Uint8Array> {
    await this.#advance(blobId, Math.min(offset, this.#size), options);
    const bytes = await this.#source.read(blobId, offset, length, options);
    this.#update(offset, bytes);
    return bytes;
  }

  size(blobId: string, options: ReadOptions): Promise<number> {
    return this.#source.size(blobId, options);
  }

  /** Reads what is left of the blob and returns the digests, 32 bytes each. The last call on the object. */
  async finish(blobId: string, options: ReadOptions): Promise<Uint8Array[]> {
    await this.#advance(blobId, this.#size, options);
    return this.#digests.map(({ sha256 }) => sha256.digest());
  }

  async #advance(blobId: string, end: number, options: ReadOptions): Promise<void> {
    while (this.#next < end) {
      const length = Math.min(PIECE_SIZE, end - this.#next);
      this.#update(this.#next, await this.#source.read(blobId, this.#next, length, options));
    }
  }

  #update(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    if (end <= this.#next) return;
    const fresh = bytes.subarray(this.#next - offset);
    for (const { ranges, sha256 } of this.#digests) {
      for (const range of ranges) {
        const from = Math.max(range.start, this.#next);
        const to = Math.min(range.end, end);
        if (from < to) sha256.update(fresh.subarray(from - this.#next, to - this.#next));
      }
    }
    this.#next = end;
  }
}
