import { type ByteString, byteStringOfText, textOf } from "../base/bytes.ts";
import { CodedError, isCoded } from "../base/errors.ts";
import { FUSE_ERRORS } from "../format/fuse/opcodes.ts";
import { BootstrapView } from "../image/bootstrap-view.ts";
import {
  type FuseNative,
  type FuseNativeOperations,
  type FuseNativeStat,
  requireFuseNative,
} from "../native/fuse-native.ts";
import { Filesystem } from "./filesystem.ts";
import { fuseErrorOf } from "./fuse-handler.ts";
import type { ImageChunks } from "./image-chunks.ts";
import { isPlanReady, readPlan } from "./mount-blob.ts";
import { MountWatch } from "./mount-watch.ts";
import { PendingReads } from "./pending-reads.ts";
import { unmount } from "./unmount.ts";

/** Paths kept resolved. */
const PATHS_KEPT = 4096;

export interface FuseNativeMountOptions {
  readonly name: string;
  readonly allowOther: boolean;
  readonly readDeadlineMs?: number;
  readonly onError?: (error: unknown) => void;
}

/**
 * One image mounted through the npm package fuse-native (libfuse 2): the engine where the others cannot be.
 *
 * It loses what the package cannot carry: inode numbers, times before 1970 and below a millisecond, names and link
 * targets that are not UTF-8, and xattr names likewise. Everything is answered on the JavaScript thread.
 */
export class FuseNativeMount {
  readonly mountpoint: string;
  readonly #fuse: FuseNative;
  readonly #pending: PendingReads;
  readonly #watch: MountWatch;
  #closing: Promise<void> | undefined;

  private constructor(mountpoint: string, fuse: FuseNative, pending: PendingReads) {
    this.mountpoint = mountpoint;
    this.#fuse = fuse;
    this.#pending = pending;
    this.#watch = new MountWatch(mountpoint);
  }

  /** Resolves when somebody else unmounted it. */
  get ended(): Promise<void> {
    return this.#watch.ended;
  }

  /**
   * Mounts a v6 bootstrap.
   *
   * @throws {CodedError} ERR_ADDON_MISSING, ERR_MOUNT_FAILED, ERR_OPTION_INVALID for a mountpoint that the package
   *   would not treat as a path.
   */
  static async open(
    mountpoint: string,
    bootstrap: Uint8Array,
    chunks: ImageChunks,
    options: FuseNativeMountOptions,
  ): Promise<FuseNativeMount> {
    // The package cleans up after failed mounts with a shell command that has the path between double quotes.
    if (/["$`\\!\n,]/.test(mountpoint) || /[^\w./:@-]/.test(options.name)) {
      throw new CodedError(
        "ERR_OPTION_INVALID",
        `engine fuse-native cannot mount ${options.name} at ${mountpoint}`,
      );
    }
    const FuseNativeConstructor = requireFuseNative();
    // The package's own way fails when somebody else has unmounted; it then holds the process for ever.
    FuseNativeConstructor.unmount = (path, done) => void removeMount(path).then(() => done(null), done);
    const pending = new PendingReads(options.readDeadlineMs);
    const filesystem = new Filesystem(new BootstrapView(bootstrap));
    const operations = operationsOf(filesystem, chunks, pending, options.onError ?? (() => undefined));
    const fuse = new FuseNativeConstructor(mountpoint, operations, {
      allowOther: options.allowOther,
      defaultPermissions: true,
      fsname: options.name,
      subtype: "nydus",
      timeout: false,
    });
    await settled((done) => fuse.mount(done), `fuse-native at ${mountpoint}`);
    return new FuseNativeMount(mountpoint, fuse, pending);
  }

  /**
   * Unmounts; a mount in use is taken out of the tree.
   *
   * @throws {CodedError} ERR_MOUNT_FAILED.
   */
  close(): Promise<void> {
    // Reads that wait must be answered first: the package joins its thread, which waits for them.
    this.#pending.close();
    this.#watch.stop();
    this.#closing ??= settled((done) => this.#fuse.unmount(done), `unmounting ${this.mountpoint}`);
    return this.#closing;
  }
}

async function removeMount(mountpoint: string): Promise<void> {
  try {
    await unmount(mountpoint, "force");
  } catch (error) {
    if (!isCoded(error, "ERR_PATH_NOT_FOUND")) throw error;
  }
}

function settled(start: (done: (error: Error | null) => void) => void, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    start((cause) => {
      if (cause === null || cause === undefined) resolve();
      else reject(new CodedError("ERR_MOUNT_FAILED", `${what}: ${cause.message}`, { cause }));
    });
  });
}

/** Resolves absolute paths, which libfuse 2 names inodes by, to nids. */
class PathResolver {
  readonly #filesystem: Filesystem;
  readonly #kept = new Map<string, number | undefined>();

  constructor(filesystem: Filesystem) {
    this.#filesystem = filesystem;
  }

  find(path: string): number | undefined {
    if (this.#kept.has(path)) return this.#kept.get(path);
    let nid: number | undefined = this.#filesystem.rootNid;
    for (const name of path.split("/")) {
      if (name === "" || nid === undefined) continue;
      nid = this.#filesystem.lookup(nid, byteStringOfText(name));
    }
    if (this.#kept.size >= PATHS_KEPT) this.#kept.clear();
    this.#kept.set(path, nid);
    return nid;
  }
}

function operationsOf(
  filesystem: Filesystem,
  chunks: ImageChunks,
  pending: PendingReads,
  onError: (error: unknown) => void,
): FuseNativeOperations {
  const paths = new PathResolver(filesystem);

  /** Answers with what `make` gives for the inode at `path`, or with an errno. */
  function answer<Result>(
    path: string,
    reply: (error: number, result?: Result) => void,
    make: (nid: number) => Result | undefined,
    absent: number = FUSE_ERRORS.ENOENT,
  ): void {
    try {
      const nid = paths.find(path);
      const result = nid === undefined ? undefined : make(nid);
      if (result !== undefined) reply(0, result);
      else reply(nid === undefined ? -FUSE_ERRORS.ENOENT : -absent);
    } catch (error) {
      reply(-fuseErrorOf(error));
    }
  }

  async function read(path: string, target: Buffer, length: number, position: number): Promise<number> {
    const nid = paths.find(path);
    if (nid === undefined) return -FUSE_ERRORS.ENOENT;
    const plan = filesystem.plan(nid, position, length);
    if (!isPlanReady(plan, chunks.shared)) {
      const what = `${length} bytes at ${position} of ${path}`;
      await pending.run(what, (signal) => chunks.ensure(plan, { class: "demand", signal }));
    }
    readPlan(plan, chunks.shared, target, 0);
    return plan.length;
  }

  return {
    getattr: (path, reply) => answer(path, reply, (nid) => statOf(filesystem, nid)),
    readdir: (path, reply) => {
      answer(path, reply, (nid) => [...filesystem.entriesFrom(nid, 0)].map(({ name }) => textOf(name)));
    },
    readlink: (path, reply) => {
      answer(path, reply, (nid) => new TextDecoder().decode(Uint8Array.from(filesystem.readlink(nid))));
    },
    getxattr: (path, name, _position, reply) => {
      const key: ByteString = byteStringOfText(name);
      const make = (nid: number): Buffer | undefined => {
        const value = filesystem.xattr(nid, key);
        return value === undefined ? undefined : Buffer.from(value);
      };
      answer(path, reply, make, FUSE_ERRORS.ENODATA);
    },
    listxattr: (path, reply) => answer(path, reply, (nid) => [...filesystem.xattrs(nid).keys()].map(textOf)),
    statfs: (path, reply) => {
      answer(path, reply, () => {
        const { blocks, blockSize, files, nameLength } = filesystem.size();
        return { bsize: blockSize, frsize: blockSize, blocks, files, namemax: nameLength };
      });
    },
    read: (path, _fd, target, length, position, reply) => {
      read(path, target, length, position).then(
        (result) => reply(result, Math.max(0, result)),
        (error: unknown) => {
          if (!pending.isClosed) onError(error);
          reply(-FUSE_ERRORS.EIO, 0);
        },
      );
    },
  };
}

function statOf(filesystem: Filesystem, nid: number): FuseNativeStat {
  const { mtimeSeconds, mtimeNanoseconds, ...attributes } = filesystem.attributes(nid);
  // The package divides times as unsigned numbers: one before 1970 would come out as 584 million years.
  const time = Math.max(0, mtimeSeconds * 1000 + Math.floor(mtimeNanoseconds / 1e6));
  return { ...attributes, blksize: 4096, atime: time, mtime: time, ctime: time };
}
