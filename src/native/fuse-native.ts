import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { CodedError } from "../base/errors.ts";

/** Answers a request: 0 and a result, or a negative errno. */
export type FuseNativeReply<Result extends readonly unknown[]> = (error: number, ...result: Result) => void;

/** What `getattr` answers with. Times are milliseconds, not negative. */
export interface FuseNativeStat {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly nlink: number;
  readonly ino: number;
  readonly rdev: number;
  readonly blksize: number;
  readonly blocks: number;
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
}

/** What `statfs` answers with. */
export interface FuseNativeStatfs {
  readonly bsize: number;
  readonly frsize: number;
  readonly blocks: number;
  readonly files: number;
  readonly namemax: number;
}

/** The requests that a read-only filesystem answers. Paths are UTF-8, absolute in the mount. */
export interface FuseNativeOperations {
  getattr(path: string, reply: FuseNativeReply<[FuseNativeStat?]>): void;
  readdir(path: string, reply: FuseNativeReply<[string[]?]>): void;
  readlink(path: string, reply: FuseNativeReply<[string?]>): void;
  getxattr(path: string, name: string, position: number, reply: FuseNativeReply<[Buffer?]>): void;
  listxattr(path: string, reply: FuseNativeReply<[string[]?]>): void;
  statfs(path: string, reply: FuseNativeReply<[FuseNativeStatfs?]>): void;
  /** The reply is the number of bytes put into `target`, or a negative errno. */
  read(
    path: string,
    fd: number,
    target: Buffer,
    length: number,
    position: number,
    reply: (result: number, length: number) => void,
  ): void;
}

/** Options of fuse-native that we use. */
export interface FuseNativeOptions {
  readonly allowOther: boolean;
  readonly defaultPermissions: boolean;
  readonly fsname: string;
  readonly subtype: string;
  /** No time limit of its own. */
  readonly timeout: false;
}

/** One mount. */
export interface FuseNative {
  mount(done: (error: Error | null) => void): void;
  unmount(done: (error: Error | null) => void): void;
}

/** The class that the package fuse-native exports. */
export interface FuseNativeClass {
  new (mountpoint: string, operations: FuseNativeOperations, options: FuseNativeOptions): FuseNative;
  /** How the package takes a mount away; may be replaced. */
  unmount(mountpoint: string, done: (error: Error | null) => void): void;
}

/** dlopen(3): the library stays, though Node.js closes what turns out to be no addon. */
const RTLD_NODELETE = 0x1000;

/**
 * Loads the optional npm package fuse-native.
 *
 * It needs libfuse 2; where the system has none, the one that the package carries is loaded.
 *
 * @throws {CodedError} ERR_ADDON_MISSING when the package is not installed or does not load here.
 */
export function requireFuseNative(): FuseNativeClass {
  const require = createRequire(import.meta.url);
  try {
    return require("fuse-native") as FuseNativeClass;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_DLOPEN_FAILED") throw missing(error);
  }
  try {
    preload(join(dirname(require.resolve("fuse-native/package.json")), "prebuilds/linux-x64/libfuse.so"));
    return require("fuse-native") as FuseNativeClass;
  } catch (error) {
    throw missing(error);
  }
}

/** Puts a shared library into the process, under whose name the dynamic linker then finds it. */
function preload(path: string): void {
  try {
    process.dlopen(
      { exports: {} },
      path,
      constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL | RTLD_NODELETE,
    );
  } catch {
    // "Module did not self-register": it is no addon, and stays all the same. If it did not load, the next step says so.
  }
}

function missing(cause: unknown): CodedError {
  const [line] = (cause as Error).message.split("\n");
  return new CodedError(
    "ERR_ADDON_MISSING",
    `the fuse-native engine needs the npm package fuse-native: ${line}`,
    {
      cause,
    },
  );
}
