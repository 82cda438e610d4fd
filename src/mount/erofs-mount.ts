import { closeSync } from "node:fs";
import { mkdtemp, realpath, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "../base/errors.ts";
import { mountFuseDevice } from "../native/fuse-device.ts";
import { makeDirectory } from "../store/make-directory.ts";
import { mountErofsFiles } from "./erofs-engine.ts";
import type { FuseImage, FuseServerOptions } from "./fuse-server.ts";
import type { SessionCounts } from "./fuse-session.ts";
import { MountWatch } from "./mount-watch.ts";
import { mountErofs, unmountImage } from "./node-engines.ts";
import { NodeMount } from "./node-mount.ts";
import { requireSound } from "./sound-bootstrap.ts";
import { unmountAtExit } from "./unmount.ts";

/** Number of the only image. */
const IMAGE = 1;

export interface ErofsMountOptions extends FuseServerOptions {
  /** A folder for what is there only while mounting. */
  readonly directory: string;
  /** By row of the blob table: the cache file of a blob that is complete in the cache. */
  readonly cacheFiles: readonly (string | undefined)[];
}

/**
 * One image mounted by the kernel's own EROFS. Blobs that are complete in the cache are the kernel's to read; the
 * others are files of a FUSE mount that nobody sees. When all are complete the mount outlives this process.
 */
export class ErofsMount {
  readonly mountpoint: string;
  /** How the image is read, for people. */
  readonly reason: string;
  readonly #watch: MountWatch;
  readonly #files: BlobFiles | undefined;
  readonly #atExit: () => void;
  #closing: Promise<void> | undefined;

  private constructor(mountpoint: string, reason: string, files?: BlobFiles) {
    this.mountpoint = mountpoint;
    this.reason = reason;
    this.#watch = new MountWatch(mountpoint);
    this.#files = files;
    this.#atExit = (): void => {
      if (files === undefined) return;
      // Nobody would answer its reads any more.
      unmountAtExit(mountpoint);
      files.node.closeAtExit();
    };
    process.once("exit", this.#atExit);
  }

  /**
   * Mounts a v6 bootstrap as it was made.
   *
   * @param mountpoint An absolute path of an existing directory, without symbolic links.
   * @throws {ErofsUnusable} when this kernel or image does not allow it: another engine may.
   * @throws {CodedError} ERR_ADDON_MISSING, ERR_MOUNT_FAILED, ERR_CACHE_IO.
   */
  static async open(mountpoint: string, image: FuseImage, options: ErofsMountOptions): Promise<ErofsMount> {
    const { cacheFiles } = options;
    const complete = cacheFiles.filter((file) => file !== undefined);
    if (complete.length === cacheFiles.length) {
      const how = await mountComplete(mountpoint, image.bootstrap, complete, options.directory);
      return new ErofsMount(mountpoint, `every blob is complete in the cache, ${how}`);
    }
    const files = await openBlobFiles(image, options);
    try {
      const { reason } = await mountErofs(files.node, IMAGE, mountpoint, { cacheFiles });
      return new ErofsMount(mountpoint, reason, files);
    } catch (error) {
      await closeBlobFiles(files);
      throw error;
    } finally {
      // EROFS has its files open: that keeps them.
      await unmountImage(files.node.directory);
      await rmdir(files.node.directory).catch(() => undefined);
    }
  }

  /** Resolves when somebody else unmounted it. */
  get ended(): Promise<void> {
    return this.#watch.ended;
  }

  /** What the FUSE workers did so far; nothing when there are none. */
  counts(): SessionCounts | undefined {
    return this.#files?.node.counts();
  }

  /**
   * Unmounts; a mount in use is taken out of the tree and ends with its last user, whose reads then fail.
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
    if (this.#watch.isThere) await unmountImage(this.mountpoint);
    if (this.#files !== undefined) await closeBlobFiles(this.#files);
    process.off("exit", this.#atExit);
  }
}

/** A FUSE mount of blob files for one image. */
interface BlobFiles {
  readonly node: NodeMount;
  readonly fd: number;
}

async function openBlobFiles(image: FuseImage, options: ErofsMountOptions): Promise<BlobFiles> {
  let directory: string;
  try {
    await makeDirectory(options.directory, 0o700);
    // The mount table knows mountpoints by their real paths.
    directory = await mkdtemp(join(await realpath(options.directory), "mnt-"));
  } catch (cause) {
    throw new CodedError("ERR_CACHE_IO", `folder in ${options.directory}`, { cause });
  }
  try {
    const fd = await mountFuseDevice(directory, { name: image.name });
    const node = await NodeMount.start(fd, directory, options).catch(async (error: unknown) => {
      await unmountImage(directory).finally(() => closeSync(fd));
      throw error;
    });
    await node.addImage(IMAGE, image);
    return { node, fd };
  } catch (error) {
    await rmdir(directory).catch(() => undefined);
    throw error;
  }
}

async function closeBlobFiles({ node, fd }: BlobFiles): Promise<void> {
  await node[Symbol.asyncDispose]();
  closeSync(fd);
}

/** Mounts without us: the bootstrap is a file that is gone, but for the mount, when this returns. */
async function mountComplete(
  mountpoint: string,
  bootstrap: Uint8Array,
  blobs: readonly string[],
  directory: string,
): Promise<string> {
  await requireSound(bootstrap);
  const file = join(directory, `${process.pid}-${performance.now().toString(36)}.bootstrap`);
  try {
    try {
      // 0600, exclusive: what the kernel parses must be the bytes that were checked.
      await writeFile(file, bootstrap, { mode: 0o600, flag: "wx" });
    } catch (cause) {
      throw new CodedError("ERR_CACHE_IO", `bootstrap file ${file}`, { cause });
    }
    return await mountErofsFiles({ bootstrap: file, blobs }, mountpoint);
  } finally {
    await rm(file, { force: true });
  }
}
