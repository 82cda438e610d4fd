import { setTimeout as sleep } from "node:timers/promises";
import { throwIfAborted } from "../base/abort.ts";
import { type ByteString, byteStringOfText } from "../base/bytes.ts";
import { limit } from "../base/limit.ts";
import { TokenBucket } from "../base/token-bucket.ts";
import { type Chunk, HOLE } from "../image/chunk.ts";
import { type Directory, type Image, type Inode, listTree } from "../image/tree.ts";
import type { MountBlobs } from "../mount/mount-blob.ts";
import type { CachedBlob } from "../store/cached-blob.ts";
import { runsWhere } from "../store/chunk-run.ts";
import type { ChunkRun } from "../store/chunk-source.ts";
import { planRequests } from "../store/request-plan.ts";

/** What to fetch before it is touched: nothing, what the image hints at, or everything. */
export const PREFETCH_CHOICES = ["none", "hints", "all"] as const;
export type PrefetchChoice = (typeof PREFETCH_CHOICES)[number];

/** How much is prefetched, and how fast. */
export interface PrefetchOptions {
  readonly choice: PrefetchChoice;
  /** Files and directories that are fetched first. @default [] */
  readonly paths?: readonly string[];
  /** Stored bytes a second, at most. @default unlimited */
  readonly rate?: number;
}

/** Requests for prefetches at once; the place bounds those to it besides. */
const PREFETCH_WIDTH = 2;
/** Stored bytes of one request: so little that a reader who needs one of its chunks hardly waits for the others. */
const REQUEST_SIZE = 2 ** 20;

/** A run of chunks of a blob of the image. */
interface BlobRun {
  readonly blobIndex: number;
  readonly run: ChunkRun;
}

/**
 * Fetches chunks into the cache in the background: first the given paths, then the hints of the image or all of its blobs,
 * each in its order. Readers go first, see {@link RequestSlots}.
 *
 * @param rowOf Gives the row of the mounted blob table for a row of the image's.
 * @throws {CodedError} as CachedBlob.ensure; ERR_ABORTED when the signal fires.
 */
export async function prefetch(
  { choice, paths = [], rate = Number.POSITIVE_INFINITY }: PrefetchOptions,
  opened: { readonly bootstrap: Image },
  blobs: MountBlobs,
  rowOf: (blobIndex: number) => number,
  signal: AbortSignal,
): Promise<void> {
  if (choice === "none" && paths.length === 0) return;
  // Reads the tree, which a mount does without.
  const { bootstrap: image } = opened;
  const isWhole = choice === "all" || (choice === "hints" && image.prefetch.includes("/"));
  const hinted = [...paths.map(byteStringOfText), ...(choice === "hints" ? image.prefetch : [])];
  const inodes = hinted.flatMap((path) => findInode(image.root, path) ?? []);
  const bucket = new TokenBucket(rate, REQUEST_SIZE, performance.now());
  const inTurn = limit(PREFETCH_WIDTH);
  const fetching = runsOf(isWhole ? [...inodes, image.root] : inodes).map(({ blobIndex, run }) =>
    inTurn(async () => {
      throwIfAborted(signal);
      const blob = await blobs.open(rowOf(blobIndex), { signal });
      for (const request of requestsOf(blob, run)) {
        const waitMs = bucket.take(request.length, performance.now());
        if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => throwIfAborted(signal));
        await blob.ensure(request, { class: "prefetch", signal });
      }
    }),
  );
  await Promise.all(fetching);
}

/** What of a run is missing, as requests. */
function requestsOf({ cache }: CachedBlob, run: ChunkRun): (ChunkRun & { readonly length: number })[] {
  const missing = runsWhere(run, (index) => !cache.isReady(index));
  return missing.flatMap((part) => planRequests(cache.blob.table, part, REQUEST_SIZE));
}

function findInode(root: Directory, path: ByteString): Inode | undefined {
  let inode: Inode | undefined = root;
  for (const name of path.split("/").filter((part) => part !== "")) {
    inode = inode?.type === "dir" ? inode.children.get(name) : undefined;
  }
  return inode;
}

/** The chunks of the inodes and of all below them, as runs of neighbours in a blob. */
function runsOf(inodes: readonly Inode[]): BlobRun[] {
  const runs: { blobIndex: number; run: { first: number; count: number } }[] = [];
  for (const chunk of inodes.flatMap(chunksBelow)) {
    if (chunk.blobIndex === HOLE) continue;
    const last = runs.at(-1);
    const isNext = last?.blobIndex === chunk.blobIndex && last.run.first + last.run.count === chunk.index;
    if (last !== undefined && isNext) last.run.count++;
    else runs.push({ blobIndex: chunk.blobIndex, run: { first: chunk.index, count: 1 } });
  }
  return runs;
}

function chunksBelow(inode: Inode): readonly Chunk[] {
  if (inode.type === "file") return inode.chunks;
  if (inode.type !== "dir") return [];
  const chunks = listTree(inode).flatMap(({ inode: below }) => (below.type === "file" ? below.chunks : []));
  return chunks.sort((left, right) => left.blobIndex - right.blobIndex || left.index - right.index);
}
