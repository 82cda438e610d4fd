import type { Image } from "./tree.ts";

/** What a bootstrap says. Byte arrays in it may be views of the bootstrap. */
export interface Bootstrap extends Image {
  readonly fsVersion: 5 | 6;
  /** Bits of SUPER_FLAGS as stored. */
  readonly flags: number;
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
}
