import type { NodeMount } from "./node-mount.ts";

/** How an image of a node is mounted by EROFS. */
export interface ErofsOptions {
  /**
   * By row of the blob table: the cache file, where it is complete and verified (CachedBlob.verifyWhole), which the
   * kernel then reads without us; absent for a blob that is read through the node's mount.
   */
  readonly cacheFiles?: readonly (string | undefined)[];
}

/** What was mounted, and why so. */
export interface MountedBy {
  readonly engine: "erofs" | "fuse";
  /** For people. */
  readonly reason: string;
}

/**
 * Mounts an image by the kernel's EROFS over files of the node's mount, after the structural check of its bootstrap.
 *
 * @throws {ErofsUnusable} when this kernel or image does not allow it: {@link bindTree} may.
 * @throws {CodedError} ERR_ADDON_MISSING.
 */
export async function mountErofs(
  _node: NodeMount,
  _number: number,
  _mountpoint: string,
  _options: ErofsOptions = {},
): Promise<MountedBy> {
  throw new Error("not yet");
}

/**
 * Mounts the tree of an image as the node's FUSE mount shows it.
 *
 * @throws {CodedError} ERR_MOUNT_FAILED, ERR_ADDON_MISSING.
 */
export async function bindTree(_node: NodeMount, _number: number, _mountpoint: string): Promise<void> {
  throw new Error("not yet");
}

/** {@link mountErofs} where it works, else {@link bindTree}. */
export async function mountNodeImage(
  _node: NodeMount,
  _number: number,
  _mountpoint: string,
  _options: ErofsOptions & { readonly engine?: "auto" | "erofs" | "fuse" } = {},
): Promise<MountedBy> {
  throw new Error("not yet");
}

/**
 * Unmounts what {@link mountErofs} or {@link bindTree} mounted. A mount in use is taken out of the tree and ends with
 * its last user; this never waits for anybody. Nothing mounted there is no error.
 *
 * @throws {CodedError} ERR_MOUNT_FAILED.
 */
export async function unmountImage(_mountpoint: string): Promise<void> {}
