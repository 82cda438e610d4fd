import type { Digester } from "../base/algorithm.ts";
import type { Image, Inode } from "./tree.ts";

/** What a bootstrap says. Byte arrays in it may be views of the bootstrap. */
export interface Bootstrap extends Image {
  readonly fsVersion: 5 | 6;
  /** Bits of SUPER_FLAGS as stored. */
  readonly flags: number;
  /**
   * Recorded link counts that are not the number of names in the tree: nydus stores hard-linked symlinks as separate
   * inodes with the count they had together. A mount shows the recorded count.
   */
  readonly recordedLinks: ReadonlyMap<Inode, number>;
}

/** How to read a bootstrap. */
export interface ReadBootstrapOptions {
  /**
   * Id of the blob that the bootstrap is part of (feature INLINED_FS_META); without it a v6 bootstrap names that
   * blob by a placeholder of 64 `x`, which nothing accepts as an id.
   */
  readonly blobId?: string;
  /**
   * Accept images whose chunks this release cannot read (tarfs, zran, batch, encryption, external blobs), to list them.
   *
   * @default false
   */
  readonly allowUnsupported?: boolean;
  /**
   * When given, the digest of every inode of a v5 bootstrap is verified. It returns 32 bytes. v6 inodes have none.
   */
  readonly digest?: (digester: Digester, bytes: Uint8Array) => Uint8Array;
}
