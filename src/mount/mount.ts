import { existsSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CodedError, isCoded } from "../base/errors.ts";
import { choiceOption } from "../base/options.ts";
import { BootstrapView } from "../image/bootstrap-view.ts";
import { addon } from "../native/addon.ts";
import type { ChunkTrace } from "./chunk-trace.ts";
import { ErofsUnusable } from "./erofs-engine.ts";
import { ErofsMount } from "./erofs-mount.ts";
import { FuseMount } from "./fuse-mount.ts";
import { FuseNativeMount } from "./fuse-native-engine.ts";
import type { SessionCounts } from "./fuse-session.ts";
import { ImageChunks } from "./image-chunks.ts";
import type { MountBlobs } from "./mount-blob.ts";

/** What answers the mount: the kernel's EROFS, our FUSE server, or the package fuse-native. */
export type Engine = "erofs" | "fuse" | "fuse-native";

/** The names of the engines, and `auto`: the first of them that works. */
export const ENGINES = ["auto", "erofs", "fuse", "fuse-native"] as const;

/** What to mount where, and how. */
export interface MountOptions {
  /** A RAFS v6 bootstrap; a v5 one is rewritten by the caller. */
  readonly bootstrap: Uint8Array;
  /** The blobs of its blob table. */
  readonly blobs: MountBlobs;
  /** An existing directory. */
  readonly mountpoint: string;
  /** Folder of the cache. */
  readonly cacheDirectory: string;
  /**
   * Whether chunks lie where the bootstrap says, which the kernel's EROFS goes by: not in one rewritten from RAFS v5.
   *
   * @default true
   */
  readonly hasChunksInPlace?: boolean;
  /** @default "auto" */
  readonly engine?: (typeof ENGINES)[number];
  /**
   * Shown as the source in mount tables.
   *
   * @default "nydus"
   */
  readonly name?: string;
  /**
   * Whether users other than the mounting one may enter.
   *
   * @default true for root, false otherwise
   */
  readonly allowOther?: boolean;
  /** Threads that answer FUSE, see FuseServerOptions. */
  readonly workers?: number;
  /** Notes which chunks are read; the kernel then gets no cache file, which it would read past us. */
  readonly trace?: ChunkTrace;
  /** See FuseServerOptions. */
  readonly readDeadlineMs?: number;
  /** Told of reads that failed with EIO. */
  readonly onError?: (error: unknown) => void;
}

/** A mount as an engine gives it. */
interface EngineMount {
  /** Resolves when it was unmounted by somebody else. */
  readonly ended: Promise<void>;
  counts?(): SessionCounts | undefined;
  close(): Promise<void>;
}

/** One image, mounted. */
export class MountedImage implements AsyncDisposable {
  /** Absolute, without symbolic links. */
  readonly mountpoint: string;
  readonly engine: Engine;
  /** Why this engine and no other, for people. */
  readonly reason: string;
  readonly #mount: EngineMount;

  constructor(mountpoint: string, engine: Engine, reason: string, mount: EngineMount) {
    this.mountpoint = mountpoint;
    this.engine = engine;
    this.reason = reason;
    this.#mount = mount;
  }

  /** Resolves when somebody else removed the mount; the process lives until then. */
  get ended(): Promise<void> {
    return this.#mount.ended;
  }

  /** What the FUSE workers did; absent for engines without them. */
  counts(): SessionCounts | undefined {
    return this.#mount.counts?.();
  }

  /**
   * Unmounts. A mount in use is taken out of the tree; reads in flight fail.
   *
   * @throws {CodedError} ERR_MOUNT_FAILED.
   */
  close(): Promise<void> {
    return this.#mount.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Mounts an image by the engine that serves it best. `erofs` needs root, the addon and /dev/fuse, or every blob
 * complete in the cache; `fuse` needs /dev/fuse, and without root the addon and fusermount3.
 *
 * @throws {CodedError} ERR_PATH_NOT_FOUND, ERR_MOUNT_FAILED, ERR_ADDON_MISSING, ERR_OPTION_INVALID,
 *   ERR_BOOTSTRAP_CORRUPT, ERR_FEATURE_UNSUPPORTED, ERR_CACHE_IO, ERR_ABORTED.
 */
export async function mountImage(options: MountOptions, signal: AbortSignal): Promise<MountedImage> {
  const wanted = choiceOption("engine", options.engine ?? "auto", ENGINES);
  const mountpoint = await resolveMountpoint(options.mountpoint);
  const view = new BootstrapView(options.bootstrap);
  const bootstrap = shareBytes(options.bootstrap);
  const chunks = new ImageChunks(options.blobs, view.blobRows.length, options.trace);
  const served = {
    ...options,
    name: options.name ?? "nydus",
    allowOther: options.allowOther ?? process.getuid?.() === 0,
  };
  let reason = `engine ${wanted} was asked for`;
  if (wanted === "auto" || wanted === "erofs") {
    try {
      const cacheFiles = await findCacheFiles(view.blobRows, options, signal);
      const image = { name: served.name, bootstrap, chunks };
      const directory = options.cacheDirectory;
      const mount = await ErofsMount.open(mountpoint, image, { ...served, directory, cacheFiles });
      return new MountedImage(mountpoint, "erofs", mount.reason, mount);
    } catch (error) {
      const isUnusable = error instanceof ErofsUnusable || isCoded(error, "ERR_MOUNT_FAILED");
      if (!isUnusable) throw error;
      if (wanted === "erofs") {
        throw new CodedError("ERR_MOUNT_FAILED", `engine erofs: ${error.message}`, { cause: error });
      }
      reason = `not erofs: ${error.message}`;
    }
  }
  if (wanted !== "fuse-native") {
    try {
      const mount = await FuseMount.open(mountpoint, bootstrap, chunks, served);
      return new MountedImage(mountpoint, "fuse", reason, mount);
    } catch (error) {
      if (wanted === "fuse" || !isCoded(error, "ERR_MOUNT_FAILED", "ERR_ADDON_MISSING")) throw error;
      reason = `${reason}; not fuse: ${error.message}`;
      const native = await FuseNativeMount.open(mountpoint, bootstrap, chunks, served).catch(
        (last: unknown) => {
          // Both failed: the first reason is the one to mend.
          throw isCoded(last, "ERR_ADDON_MISSING", "ERR_MOUNT_FAILED") ? error : last;
        },
      );
      return new MountedImage(mountpoint, "fuse-native", reason, native);
    }
  }
  const mount = await FuseNativeMount.open(mountpoint, bootstrap, chunks, served);
  return new MountedImage(mountpoint, "fuse-native", reason, mount);
}

/** By row of the blob table: the cache file of a blob that is there whole, for the kernel to read. */
async function findCacheFiles(
  blobRows: BootstrapView["blobRows"],
  options: MountOptions,
  signal: AbortSignal,
): Promise<(string | undefined)[]> {
  if (process.getuid?.() !== 0) throw new ErofsUnusable("it needs root");
  if (addon() === undefined) throw new ErofsUnusable("it needs the native addon");
  // Who traces must see every read.
  if (options.trace !== undefined) return blobRows.map(() => undefined);
  if (options.hasChunksInPlace === false) {
    throw new ErofsUnusable("chunks do not lie where the bootstrap says (RAFS v5)");
  }
  const files: (string | undefined)[] = [];
  for (const [row, { id }] of blobRows.entries()) {
    // To open a blob takes its chunk table, perhaps from far away: not for one that was never cached.
    if (!existsSync(join(options.cacheDirectory, `${id}.blob.data`))) {
      files.push(undefined);
      continue;
    }
    const blob = await options.blobs.open(row, { signal });
    files.push((await blob.verifyWhole(signal)) ? blob.cache.dataPath : undefined);
  }
  return files;
}

/**
 * The directory at a path, without symbolic links.
 *
 * @throws {CodedError} ERR_PATH_NOT_FOUND when there is none.
 */
export async function resolveMountpoint(path: string): Promise<string> {
  try {
    // The last part is not touched: a stale mount there would not answer.
    const resolved = await realpath(path);
    if ((await stat(resolved)).isDirectory()) return resolved;
  } catch (cause) {
    throw new CodedError("ERR_PATH_NOT_FOUND", `mountpoint ${path}`, { cause });
  }
  throw new CodedError("ERR_PATH_NOT_FOUND", `mountpoint ${path} is not a directory`);
}

/**
 * The path under which the mount table knows a mountpoint, found without touching what is mounted there.
 *
 * @throws {CodedError} ERR_PATH_NOT_FOUND.
 */
export async function mountpointOf(path: string): Promise<string> {
  try {
    return join(await realpath(dirname(path)), basename(path));
  } catch (cause) {
    throw new CodedError("ERR_PATH_NOT_FOUND", `mountpoint ${path}`, { cause });
  }
}

function shareBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer instanceof SharedArrayBuffer) return bytes;
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return shared;
}
