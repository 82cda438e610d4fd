import { realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CodedError, isCoded } from "../base/errors.ts";
import { choiceOption } from "../base/options.ts";
import { BootstrapView } from "../image/bootstrap-view.ts";
import { checkBootstrap } from "../image/check.ts";
import { addon } from "../native/addon.ts";
import type { CachedBlob } from "../store/cached-blob.ts";
import type { ChunkTrace } from "./chunk-trace.ts";
import { ErofsMount, ErofsUnusable, hasChunksInPlace } from "./erofs-engine.ts";
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
  /** Folder of the cache; must not be on tmpfs or overlayfs for the `erofs` engine. */
  readonly cacheDirectory: string;
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
  counts?(): SessionCounts;
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
 * Mounts an image by the engine that serves it best. `erofs` needs root, the addon, and every blob complete in the
 * cache; `fuse` needs /dev/fuse, and without root the addon and fusermount3.
 *
 * @throws {CodedError} ERR_PATH_NOT_FOUND, ERR_MOUNT_FAILED, ERR_ADDON_MISSING, ERR_OPTION_INVALID,
 *   ERR_BOOTSTRAP_CORRUPT, ERR_FEATURE_UNSUPPORTED, ERR_ABORTED.
 */
export async function mountImage(options: MountOptions, signal: AbortSignal): Promise<MountedImage> {
  const wanted = choiceOption("engine", options.engine ?? "auto", ENGINES);
  const mountpoint = await resolveMountpoint(options.mountpoint);
  const view = new BootstrapView(options.bootstrap);
  let reason = `engine ${wanted} was asked for`;
  if (wanted === "auto" || wanted === "erofs") {
    try {
      const mount = await mountErofs(mountpoint, view, options, signal);
      return new MountedImage(mountpoint, "erofs", "every blob is complete in the cache", mount);
    } catch (error) {
      if (!(error instanceof ErofsUnusable)) throw error;
      if (wanted === "erofs") {
        throw new CodedError("ERR_MOUNT_FAILED", `engine erofs: ${error.message}`, { cause: error });
      }
      reason = `not erofs: ${error.message}`;
    }
  }
  const bootstrap = shareBytes(options.bootstrap);
  const chunks = new ImageChunks(options.blobs, view.blobRows.length, options.trace);
  const served = {
    ...options,
    name: options.name ?? "nydus",
    allowOther: options.allowOther ?? process.getuid?.() === 0,
  };
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

async function mountErofs(
  mountpoint: string,
  view: BootstrapView,
  options: MountOptions,
  signal: AbortSignal,
): Promise<ErofsMount> {
  if (process.getuid?.() !== 0) throw new ErofsUnusable("it needs root");
  if (addon() === undefined) throw new ErofsUnusable("it needs the native addon");
  if (options.trace !== undefined) throw new ErofsUnusable("a trace needs every read to pass here");
  const blobs: CachedBlob[] = [];
  for (const [index, { id }] of view.blobRows.entries()) {
    const blob = await options.blobs.open(index, { signal });
    if (!(await blob.verifyWhole(signal))) throw new ErofsUnusable(`blob ${id} is not complete in the cache`);
    blobs.push(blob);
  }
  // A hostile image must not reach the kernel's parser; ours bounds everything it reads.
  const fault = checkBootstrap(options.bootstrap).find(({ severity }) => severity === "error");
  if (fault !== undefined)
    throw new ErofsUnusable(`the bootstrap is not sound: ${fault.where}: ${fault.message}`);
  if (!hasChunksInPlace(view, blobs))
    throw new ErofsUnusable("chunks do not lie where the bootstrap says (RAFS v5)");
  return ErofsMount.open(mountpoint, options.bootstrap, blobs, { directory: options.cacheDirectory });
}

async function resolveMountpoint(path: string): Promise<string> {
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
