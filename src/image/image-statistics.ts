import { HOLE } from "./chunk.ts";
import type { Image, Inode } from "./tree.ts";
import { type FileType, listTree } from "./tree.ts";

/** What files of an image use of one blob. Sizes are bytes. */
export interface BlobUse {
  readonly id: string;
  /** Chunks of the blob. */
  readonly chunks: number;
  /** Chunks that files use. */
  readonly usedChunks: number;
  /** Decoded bytes of those. */
  readonly usedDecodedSize: number;
  /** Stored bytes of those, where the bootstrap records them. */
  readonly usedStoredSize: number;
  /** What the blob table records. */
  readonly storedSize: number;
  readonly decodedSize: number;
}

/** How large an image is, and what it shares. Sizes are bytes. */
export interface ImageStatistics {
  readonly names: number;
  /** Distinct inodes, by type. */
  readonly inodes: Readonly<Partial<Record<FileType, number>>>;
  /** Content of all files, each inode once. */
  readonly fileSize: number;
  /** Times a file uses a chunk. */
  readonly chunkReferences: number;
  /** Distinct chunks that files use. */
  readonly chunks: number;
  /** Their decoded bytes: less than `fileSize` by what is shared. */
  readonly chunkDecodedSize: number;
  /** Stored bytes of those, where the bootstrap records them. */
  readonly chunkStoredSize: number;
  readonly blobs: readonly BlobUse[];
}

/** Counts what an image is made of. */
export function imageStatistics(image: Image): ImageStatistics {
  const names = listTree(image.root);
  const inodes = new Set<Inode>(names.map(({ inode }) => inode));
  const types: Partial<Record<FileType, number>> = {};
  const used = image.blobs.map(() => new Set<number>());
  const sizes = image.blobs.map(() => ({ decoded: 0, stored: 0 }));
  let fileSize = 0;
  let chunkReferences = 0;
  for (const inode of inodes) {
    types[inode.type] = (types[inode.type] ?? 0) + 1;
    if (inode.type !== "file") continue;
    fileSize += inode.size;
    chunkReferences += inode.chunks.filter(({ blobIndex }) => blobIndex !== HOLE).length;
    for (const { blobIndex, index, decodedSize, storedSize } of inode.chunks) {
      const known = used[blobIndex];
      const size = sizes[blobIndex];
      if (known === undefined || size === undefined || known.has(index)) continue;
      known.add(index);
      size.decoded += decodedSize;
      size.stored += storedSize ?? 0;
    }
  }
  const blobs = image.blobs.map((blob, index) => ({
    id: blob.id,
    chunks: blob.chunkCount,
    usedChunks: used[index]?.size ?? 0,
    usedDecodedSize: sizes[index]?.decoded ?? 0,
    usedStoredSize: sizes[index]?.stored ?? 0,
    storedSize: blob.storedSize,
    decodedSize: blob.decodedSize,
  }));
  const sum = (of: (blob: BlobUse) => number): number => blobs.reduce((total, blob) => total + of(blob), 0);
  return {
    names: names.length,
    inodes: types,
    fileSize,
    chunkReferences,
    chunks: sum(({ usedChunks }) => usedChunks),
    chunkDecodedSize: sum(({ usedDecodedSize }) => usedDecodedSize),
    chunkStoredSize: sum(({ usedStoredSize }) => usedStoredSize),
    blobs,
  };
}
