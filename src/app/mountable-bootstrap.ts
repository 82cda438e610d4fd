import { alignUp } from "../base/bytes.ts";
import { CHUNK_INFORMATION_V1_SIZE } from "../format/blob/chunk-information-v1.ts";
import { DECODED_ALIGNMENT } from "../format/blob/chunk-table.ts";
import { BLOB_FEATURES } from "../format/rafs/features.ts";
import { chunksByBlob } from "../image/blob-chunks.ts";
import type { Bootstrap } from "../image/bootstrap.ts";
import type { BootstrapOutline } from "../image/bootstrap-outline.ts";
import { writeBootstrap } from "../image/bootstrap-writer.ts";
import type { Blob, Chunk } from "../image/chunk.ts";
import type { Directory, Inode } from "../image/tree.ts";

/** Metadata that a mount can serve. */
export interface MountableBootstrap {
  /** A v6 bootstrap. */
  readonly bytes: Uint8Array;
  /** For each row of its blob table, the row in the blob table of the image. */
  readonly blobRows: readonly number[];
  /** False when chunks lie in the cache where their tables say, not where these bytes say. */
  readonly hasChunksInPlace: boolean;
}

/**
 * The metadata of an image as the one read path takes it: a v6 bootstrap as it is, a v5 one rewritten in memory.
 * Where chunks really lie comes from the chunk tables, so the rewritten one only has to number them.
 *
 * @throws {CodedError} as {@link writeBootstrap}.
 */
export function mountableBootstrap(outline: BootstrapOutline, bytes: Uint8Array): MountableBootstrap {
  if (outline.fsVersion === 6) {
    return { bytes, blobRows: outline.blobs.map((_, row) => row), hasChunksInPlace: true };
  }
  const { bootstrap } = outline;
  const repacked = new RepackedChunks(bootstrap);
  const root = repacked.inode(bootstrap.root) as Directory;
  const blobs = bootstrap.blobs.map((blob, row) => repacked.blob(blob, row));
  const written = writeBootstrap({ ...bootstrap, root, blobs });
  const rowOfId = new Map(bootstrap.blobs.map(({ id }, row) => [id, row]));
  const blobRows = written.blobs.map(({ id }) => rowOfId.get(id) ?? 0);
  return { bytes: written.bytes, blobRows, hasChunksInPlace: false };
}

/** The inodes of a v5 image with chunks at aligned places of a decoded space that only the rewritten metadata has. */
class RepackedChunks {
  readonly #inodes = new Map<Inode, Inode>();
  readonly #offsets: ReadonlyMap<number, number>[];
  readonly #ends: number[];

  constructor(image: Bootstrap) {
    const chunks = chunksByBlob(image);
    this.#ends = chunks.map(() => 0);
    this.#offsets = chunks.map((ofBlob, row) => {
      const offsets = new Map<number, number>();
      for (const { index, decodedSize } of ofBlob.sort((left, right) => left.index - right.index)) {
        offsets.set(index, this.#ends[row] ?? 0);
        this.#ends[row] = (this.#ends[row] ?? 0) + alignUp(decodedSize, DECODED_ALIGNMENT);
      }
      return offsets;
    });
  }

  /** Hard links stay one inode. */
  inode(inode: Inode): Inode {
    const known = this.#inodes.get(inode);
    if (known !== undefined) return known;
    let repacked = inode;
    if (inode.type === "file") {
      repacked = { ...inode, chunks: inode.chunks.map((chunk) => this.#chunk(chunk)) };
    } else if (inode.type === "dir") {
      const children = [...inode.children].map(([name, child]) => [name, this.inode(child)] as const);
      repacked = { ...inode, children: new Map(children) };
    }
    this.#inodes.set(inode, repacked);
    return repacked;
  }

  blob(blob: Blob, row: number): Blob {
    const size = blob.chunkCount * CHUNK_INFORMATION_V1_SIZE;
    return {
      ...blob,
      features: BLOB_FEATURES.ALIGNED,
      decodedSize: this.#ends[row] ?? 0,
      chunkInformation: { compressor: "none", offset: blob.storedSize, storedSize: size, decodedSize: size },
    };
  }

  #chunk(chunk: Chunk): Chunk {
    return { ...chunk, decodedOffset: this.#offsets[chunk.blobIndex]?.get(chunk.index) ?? 0 };
  }
}
