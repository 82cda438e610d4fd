import { setTimeout as delay } from "node:timers/promises";
import { CodedError } from "../base/errors.ts";
import { requireAddon, type SystemError } from "../native/addon.ts";
import { MOUNT_FLAGS, UNMOUNT_FLAGS } from "../native/mount-flags.ts";
import { type ErofsFiles, ErofsUnusable, mountErofsFiles } from "./erofs-engine.ts";
import { listMounts } from "./mount-table.ts";
import type { NodeMount } from "./node-mount.ts";
import { requireSound } from "./sound-bootstrap.ts";

/** Milliseconds between two looks at the mount table. */
const LOOK_INTERVAL_MS = 10;

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
 * @param number An image of the node whose bootstrap is v6 as it was made: one that was rewritten from v5 does not say
 *   where chunks lie.
 * @param mountpoint An absolute path of an existing directory, without symbolic links.
 * @throws {ErofsUnusable} when this kernel or image does not allow it: {@link bindTree} may.
 * @throws {CodedError} ERR_ADDON_MISSING.
 */
export async function mountErofs(
  node: NodeMount,
  number: number,
  mountpoint: string,
  options: ErofsOptions = {},
): Promise<MountedBy> {
  const { bootstrap, blobCount } = node.imageOf(number);
  await requireSound(bootstrap);
  const directory = `${node.directory}/${number}`;
  const rows = Array.from({ length: blobCount }, (_, row) => row);
  const cached = rows.filter((row) => options.cacheFiles?.[row] !== undefined).length;
  const files: ErofsFiles = {
    bootstrap: `${directory}/boot`,
    blobs: rows.map((row) => options.cacheFiles?.[row] ?? `${directory}/${row}`),
  };
  const how = await mountErofsFiles(files, mountpoint);
  return { engine: "erofs", reason: `${cached} of ${blobCount} blobs are complete in the cache, ${how}` };
}

/**
 * Mounts the tree of an image as the node's FUSE mount shows it.
 *
 * @param mountpoint An absolute path of an existing directory, without symbolic links.
 * @throws {CodedError} ERR_MOUNT_FAILED, ERR_ADDON_MISSING.
 */
export async function bindTree(node: NodeMount, number: number, mountpoint: string): Promise<void> {
  const native = requireAddon("mounting");
  try {
    await native.mount(`${node.directory}/${number}/tree`, mountpoint, "", MOUNT_FLAGS.BIND, "");
  } catch (cause) {
    throw new CodedError("ERR_MOUNT_FAILED", `${mountpoint}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Mounts an image of the node: by {@link mountErofs} where it works, else by {@link bindTree}.
 *
 * @throws {CodedError} ERR_MOUNT_FAILED, ERR_ADDON_MISSING.
 */
export async function mountNodeImage(
  node: NodeMount,
  number: number,
  mountpoint: string,
  options: ErofsOptions & { readonly engine?: "auto" | "erofs" | "fuse" } = {},
): Promise<MountedBy> {
  const wanted = options.engine ?? "auto";
  let reason = "engine fuse was asked for";
  if (wanted !== "fuse") {
    try {
      return await mountErofs(node, number, mountpoint, options);
    } catch (error) {
      if (!(error instanceof ErofsUnusable)) throw error;
      if (wanted === "erofs") {
        throw new CodedError("ERR_MOUNT_FAILED", `engine erofs: ${error.message}`, { cause: error });
      }
      reason = `not erofs: ${error.message}`;
    }
  }
  await bindTree(node, number, mountpoint);
  return { engine: "fuse", reason };
}

/**
 * Unmounts what {@link mountErofs} or {@link bindTree} mounted. A mount in use is taken out of the tree and ends with
 * its last user. Nothing mounted there is no error.
 *
 * Returns when the mount is out of the tree, without waiting for reads in flight: those of readahead may last until
 * their deadline, or until the image is taken from the node.
 *
 * @throws {CodedError} ERR_MOUNT_FAILED, ERR_ADDON_MISSING.
 */
export async function unmountImage(mountpoint: string): Promise<void> {
  const native = requireAddon("unmounting");
  const before = listMounts(mountpoint).length;
  if (before === 0) return;
  let isDone = false;
  // Never FORCE: of a tree it would end the connection of the whole node.
  const unmounted = native.umount2(mountpoint, UNMOUNT_FLAGS.DETACH).finally(() => {
    isDone = true;
  });
  const gone = async (): Promise<void> => {
    while (!isDone && listMounts(mountpoint).length >= before) await delay(LOOK_INTERVAL_MS);
  };
  try {
    await Promise.race([unmounted, gone()]);
  } catch (cause) {
    const { message } = cause as SystemError;
    throw new CodedError("ERR_MOUNT_FAILED", `unmounting ${mountpoint}: ${message}`, { cause });
  }
}
