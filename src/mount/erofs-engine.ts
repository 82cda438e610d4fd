import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CodedError, isCoded } from "../base/errors.ts";
import type { BootstrapView } from "../image/bootstrap-view.ts";
import { FILE_MODES } from "../image/file-mode.ts";
import { type Addon, requireAddon, type SystemError } from "../native/addon.ts";
import type { CachedBlob } from "../store/cached-blob.ts";
import { MOUNT_FLAGS } from "../native/mount-flags.ts";
import { MountWatch } from "./mount-watch.ts";
import { unmount } from "./unmount.ts";

/** mount(2) takes one page of options, ended by a zero byte. */
const MAX_MOUNT_OPTIONS = 4095;

/** Why an image cannot be mounted by the kernel's EROFS, for people. */
export class ErofsUnusable extends Error {
  override readonly name = "ErofsUnusable";
}

/** How to mount by the kernel's EROFS. */
export interface ErofsMountOptions {
  /** Shown as the source in mount tables is the path of the bootstrap file, which is removed again. */
  readonly directory: string;
}

/**
 * One image mounted by the kernel's own EROFS over cache files that are complete: reads never reach this process. It
 * stays for the end of the mount; when it dies before, the mount lives on.
 */
export class ErofsMount {
  readonly mountpoint: string;
  readonly #watch: MountWatch;
  #closing: Promise<void> | undefined;

  private constructor(mountpoint: string) {
    this.mountpoint = mountpoint;
    this.#watch = new MountWatch(mountpoint);
  }

  /** Resolves when somebody else unmounted it. */
  get ended(): Promise<void> {
    return this.#watch.ended;
  }

  /**
   * Mounts a v6 bootstrap that passed checkBootstrap, over blobs that verifyWhole found complete.
   *
   * @param blobs In the order of the device table.
   * @throws {ErofsUnusable} when this kernel, or the place of the files, does not allow it: another engine may.
   * @throws {CodedError} ERR_ADDON_MISSING, ERR_MOUNT_FAILED, ERR_CACHE_IO.
   */
  static async open(
    mountpoint: string,
    bootstrap: Uint8Array,
    blobs: readonly CachedBlob[],
    options: ErofsMountOptions,
  ): Promise<ErofsMount> {
    const native = requireAddon("mounting EROFS");
    const devices = deviceOptions(blobs.map((blob) => blob.cache.dataPath));
    const file = join(options.directory, `${process.pid}-${performance.now().toString(36)}.bootstrap`);
    try {
      try {
        // 0600, exclusive: what the kernel parses must be the bytes that were checked.
        await writeFile(file, bootstrap, { mode: 0o600, flag: "wx" });
      } catch (cause) {
        throw new CodedError("ERR_CACHE_IO", `bootstrap file ${file}`, { cause });
      }
      await mountFile(native, file, mountpoint, devices);
    } finally {
      // The mount keeps the file itself.
      await rm(file, { force: true });
    }
    return new ErofsMount(mountpoint);
  }

  /**
   * Unmounts; a mount in use is taken out of the tree and ends with its last user.
   *
   * @throws {CodedError} ERR_MOUNT_FAILED.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#watch.stop();
    // What is mounted there now may be somebody else's.
    if (!this.#watch.isThere) return;
    await unmount(this.mountpoint).catch((error: unknown) => {
      if (isCoded(error, "ERR_PATH_NOT_FOUND")) return;
      return unmount(this.mountpoint, "force");
    });
  }
}

function deviceOptions(paths: readonly string[]): string {
  const odd = paths.find((path) => path.includes(","));
  if (odd !== undefined) throw new ErofsUnusable(`a comma in ${odd} would end the mount option`);
  return paths.map((path) => `device=${path}`).join(",");
}

async function mountFile(native: Addon, file: string, mountpoint: string, devices: string): Promise<void> {
  const flags = MOUNT_FLAGS.RDONLY | MOUNT_FLAGS.NOSUID | MOUNT_FLAGS.NODEV;
  // With directio file pages are cached once, not a second time under the device file. Not every kernel or disk
  // has it.
  const attempts = ["directio", ""].map((first) => [first, devices].filter((part) => part !== "").join(","));
  if (Buffer.byteLength(attempts[0] ?? "") > MAX_MOUNT_OPTIONS) {
    throw new ErofsUnusable(
      `mount options of ${Buffer.byteLength(devices)} bytes do not fit in ${MAX_MOUNT_OPTIONS}`,
    );
  }
  let last: unknown;
  for (const options of attempts) {
    try {
      await native.mount(file, mountpoint, "erofs", flags, options);
      return;
    } catch (error) {
      last = error;
    }
  }
  const { code, message } = last as SystemError;
  if (code === "ENODEV") throw new ErofsUnusable("this kernel has no EROFS");
  if (code === "ENOTBLK") {
    throw new ErofsUnusable(`the kernel mounts no files, or none that lie where the cache is (${message})`);
  }
  throw new ErofsUnusable(message);
}

/**
 * Says whether the kernel, which goes by the block addresses in the bootstrap, would read the same bytes as we, who go
 * by the chunk tables: true for images made as RAFS v6, false for v5 images rewritten in memory.
 *
 * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT.
 */
export function hasChunksInPlace(view: BootstrapView, blobs: readonly CachedBlob[]): boolean {
  const pending = [view.rootNid];
  const seen = new Set(pending);
  for (let nid = pending.pop(); nid !== undefined; nid = pending.pop()) {
    const inode = view.inode(nid);
    const type = inode.mode & FILE_MODES.mask;
    if (type === FILE_MODES.dir) {
      for (const entry of view.entries(inode)) {
        if (seen.has(entry.nid)) continue;
        seen.add(entry.nid);
        pending.push(entry.nid);
      }
    } else if (type === FILE_MODES.file) {
      for (let number = view.chunkCount(inode) - 1; number >= 0; number--) {
        const { blobIndex, chunkIndex, startBlock } = view.chunkIndex(inode, number);
        const place = blobs[blobIndex]?.cache.blob.table.decodedOffsets[chunkIndex];
        if (place !== startBlock * view.blockSize) return false;
      }
    }
  }
  return true;
}
