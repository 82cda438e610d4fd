import { createHash } from "node:crypto";
import { orAborted } from "../base/abort.ts";
import type { MountBlobs } from "../mount/mount-blob.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import { type CacheCounts, CachedBlob, createCacheCounts } from "../store/cached-blob.ts";
import { type CacheableBlob, ChunkCache } from "../store/chunk-cache.ts";
import type { ChunkSource } from "../store/chunk-source.ts";
import { RequestSlots } from "../store/request-slots.ts";
import { JoinedSource } from "./joined-source.ts";

/** A blob that is open, for all images that agree on its chunks. */
interface OpenBlob {
  readonly blob: Promise<CachedBlob>;
  readonly source: JoinedSource;
  users: number;
}

/** A blob that is open as long as its user wants it. */
export interface BlobLease {
  readonly blob: CachedBlob;
  /** Ends the use; the last user closes the blob. To be called once. */
  giveBack(): Promise<void>;
}

/** What an image needs to have its blobs opened. */
export interface ImageBlobsParts {
  /** Gives a blob with its chunk table, by row of the blob table. */
  load(blobIndex: number, options: ReadOptions): Promise<CacheableBlob>;
  /** Where missing chunks come from. */
  readonly source: ChunkSource;
}

/** The open blobs of a node: one cache file, one set of ready bits and one flight for each, however many images use it. */
export class SharedBlobs {
  /** Folder of the cache files. */
  readonly directory: string;
  /** Sums over all blobs. */
  readonly counts: CacheCounts = createCacheCounts();
  /** What is asked for at once by all images together. */
  readonly slots = new RequestSlots();
  readonly #open = new Map<string, OpenBlob>();

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Ids of the blobs that are open. */
  get ids(): ReadonlySet<string> {
    return new Set([...this.#open.keys()].map((key) => key.slice(0, 64)));
  }

  /**
   * Opens a blob, or joins those who have it open.
   *
   * @throws {CodedError} as ChunkCache.open.
   */
  async lease(blob: CacheableBlob, source: ChunkSource): Promise<BlobLease> {
    const key = keyOf(blob);
    let shared = this.#open.get(key);
    if (shared === undefined) {
      const joined = new JoinedSource(source);
      const opening = ChunkCache.open(this.directory, blob).then(
        (cache) => new CachedBlob(cache, joined, this.counts),
      );
      shared = { blob: opening, source: joined, users: 0 };
      this.#open.set(key, shared);
      opening.catch(() => this.#open.delete(key));
    }
    shared.users++;
    shared.source.add(source);
    return { blob: await shared.blob, giveBack: () => this.#giveBack(key, source) };
  }

  async #giveBack(key: string, source: ChunkSource): Promise<void> {
    const shared = this.#open.get(key);
    if (shared === undefined) return;
    shared.source.remove(source);
    shared.users--;
    if (shared.users > 0) return;
    this.#open.delete(key);
    await (await shared.blob).cache.close();
  }
}

/** The blobs of one image, by row of its blob table; each is opened when it is first asked for. */
export class ImageBlobs implements MountBlobs, AsyncDisposable {
  readonly #shared: SharedBlobs;
  readonly #parts: ImageBlobsParts;
  readonly #leases = new Map<number, Promise<BlobLease>>();
  /** Ends what is being opened, which no single caller owns, when the image goes. */
  readonly #opening = new AbortController();

  constructor(shared: SharedBlobs, parts: ImageBlobsParts) {
    this.#shared = shared;
    this.#parts = parts;
  }

  /** A blob; later calls give the same object. A failure is not remembered. */
  async open(blobIndex: number, { signal }: ReadOptions): Promise<CachedBlob> {
    let lease = this.#leases.get(blobIndex);
    if (lease === undefined) {
      lease = this.#lease(blobIndex);
      this.#leases.set(blobIndex, lease);
      lease.catch(() => this.#leases.delete(blobIndex));
    }
    return (await orAborted(lease, signal)).blob;
  }

  /** Gives all blobs back; the first failure is thrown when all are closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#opening.abort();
    const leases = await Promise.allSettled(this.#leases.values());
    const held = leases.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    const closed = await Promise.allSettled(held.map((lease) => lease.giveBack()));
    for (const result of closed) if (result.status === "rejected") throw result.reason;
  }

  async #lease(blobIndex: number): Promise<BlobLease> {
    const blob = await this.#parts.load(blobIndex, { signal: this.#opening.signal });
    return this.#shared.lease(blob, this.#parts.source);
  }
}

/** Images share a blob when they say the same of its chunks: one could claim the other's blob id for bytes of its own. */
function keyOf(blob: CacheableBlob): string {
  const digest = createHash("sha256");
  digest.update(JSON.stringify([blob.compressor, blob.digester, blob.decodedSize, blob.table.count]));
  digest.update(blob.digests ?? new Uint8Array(0));
  digest.update(viewOf(blob.table.storedOffsets)).update(viewOf(blob.table.storedSizes));
  digest.update(viewOf(blob.table.decodedOffsets)).update(viewOf(blob.table.decodedSizes));
  return `${blob.id}.${digest.digest("hex")}`;
}

function viewOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
