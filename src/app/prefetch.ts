import { throwIfAborted } from "../base/abort.ts";
import type { ByteString } from "../base/bytes.ts";
import { limit } from "../base/limit.ts";
import { type Chunk, HOLE } from "../image/chunk.ts";
import { type Directory, type Image, type Inode, listTree } from "../image/tree.ts";
import type { MountBlobs } from "../mount/mount-blob.ts";
import type { ChunkRun } from "../store/chunk-source.ts";

/** What to fetch before it is touched: nothing, what the image hints at, or everything. */
export const PREFETCH_CHOICES = ["none", "hints", "all"] as const;
export type PrefetchChoice = (typeof PREFETCH_CHOICES)[number];

/** Runs of chunks fetched at once; a reader's own fetches come beside them. */
const PREFETCH_WIDTH = 2;
/** Chunks of one run: small, so that a reader who needs one of them does not wait for many. */
const RUN_CHUNKS = 16;

/**
 * Fetches chunks into the cache in the background, in the order of the hints or of the blobs.
 *
 * @param rowOf Gives the row of the mounted blob table for a row of the image's.
 * @throws {CodedError} as CachedBlob.ensure; ERR_ABORTED when the signal fires.
 */
export async function prefetch(
  choice: PrefetchChoice,
  opened: { readonly bootstrap: Image },
  blobs: MountBlobs,
  rowOf: (blobIndex: number) => number,
  signal: AbortSignal,
): Promise<void> {
  if (choice === "none") return;
  // Reads the tree, which a mount does without.
  const { bootstrap: image } = opened;
  const isWhole = choice === "all" || image.prefetch.includes("/");
  const inTurn = limit(PREFETCH_WIDTH);
  const fetching = runsOf(isWhole ? [image.root] : hintedInodes(image)).map(({ blobIndex, run }) =>
    inTurn(async () => {
      throwIfAborted(signal);
      const blob = await blobs.open(rowOf(blobIndex), { signal });
      await blob.ensure(run, { class: "prefetch", signal });
    }),
  );
  await Promise.all(fetching);
}

function hintedInodes({ root, prefetch: paths }: Image): Inode[] {
  return paths.flatMap((path) => findInode(root, path) ?? []);
}

function findInode(root: Directory, path: ByteString): Inode | undefined {
  let inode: Inode | undefined = root;
  for (const name of path.split("/").filter((part) => part !== "")) {
    inode = inode?.type === "dir" ? inode.children.get(name) : undefined;
  }
  return inode;
}

/** The chunks of the inodes and of all below them, as runs of neighbours in a blob. */
function runsOf(inodes: readonly Inode[]): { readonly blobIndex: number; readonly run: ChunkRun }[] {
  const runs: { blobIndex: number; run: { first: number; count: number } }[] = [];
  for (const chunk of inodes.flatMap(chunksBelow)) {
    if (chunk.blobIndex === HOLE) continue;
    const last = runs.at(-1);
    const isNext =
      last?.blobIndex === chunk.blobIndex &&
      last.run.first + last.run.count === chunk.index &&
      last.run.count < RUN_CHUNKS;
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
