import { Buffer } from "node:buffer";
import type { BigIntStats } from "node:fs";
import { lstat, open, readdir, readlink } from "node:fs/promises";
import { type ByteString, byteString, bytesOf, compareByteStrings, textOf } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import type { EntryAttributes } from "../image/layer-entry.ts";
import { checkSymlinkTarget, cleanLayerPath } from "../image/layer-path.ts";
import type { LayerItem } from "./layer-reader.ts";
import { MAX_FILE_SIZE, MAX_LAYER_ENTRIES } from "./tar-limits.ts";
import { keepXattrs, type LayerWarning } from "./xattrs.ts";

const READ_SIZE = 1 << 18;
const FORMAT_BITS = 0o170000n;
const SOCKET_BITS = 0o140000n;

export interface DirectoryReaderOptions {
  /**
   * Reads the extended attributes of a path without following symlinks. Node has no call for that: without
   * this, none are read.
   */
  readonly readXattrs?: (path: Buffer) => Iterable<readonly [ByteString, Uint8Array]>;
  /** Told of everything that is left out. */
  readonly onWarning?: (warning: LayerWarning) => void;
}

/**
 * Reads a directory tree as one layer: the root first, then every directory before what is in it, names in
 * the order of their bytes. Symlinks are not followed; files with several names are hard links to the
 * first. Names that look like whiteouts are not special here, but are when the layer is laid over others.
 *
 * The tree must not change meanwhile: a file of another size than lstat said is an error.
 *
 * @param path The directory.
 * @throws {CodedError} ERR_PATH_NOT_FOUND when it is missing or no directory; ERR_LAYER_INVALID for a path
 *   no image can hold or a file that changed; ERR_SOURCE_UNAVAILABLE when the system refuses to read something;
 *   ERR_LIMIT_EXCEEDED beyond tar-limits.ts.
 */
export async function* readDirectory(
  path: string | Buffer,
  options: DirectoryReaderOptions = {},
): AsyncGenerator<LayerItem, void, undefined> {
  const root = Buffer.from(path);
  const warn = options.onWarning ?? (() => {});
  const firstNames = new Map<string, ByteString>();
  const pending: ByteString[] = [""];
  let count = 0;
  for (let relative = pending.pop(); relative !== undefined; relative = pending.pop()) {
    if (++count > MAX_LAYER_ENTRIES) {
      throw new CodedError("ERR_LIMIT_EXCEEDED", `directory has more than ${MAX_LAYER_ENTRIES} entries`);
    }
    const full = join(root, relative);
    const stat = await lstatIn(full, relative);
    const xattrs = keepXattrs(relative, options.readXattrs?.(full) ?? [], warn);
    const common: EntryAttributes = { path: cleanLayerPath(relative), ...attributesOf(stat), xattrs };
    if (relative === "" && !stat.isDirectory()) {
      throw new CodedError("ERR_PATH_NOT_FOUND", `${textOf(byteString(root))} is not a directory`);
    }
    if (stat.isDirectory()) {
      yield { entry: { type: "dir", ...common }, content: undefined };
      const found = await readOf(relative, readdir(full, { encoding: "buffer" }));
      const names = found.map((name) => byteString(name));
      // Taken from the end: the first name goes last.
      names.sort((left, right) => compareByteStrings(right, left));
      for (const name of names) pending.push(relative === "" ? name : `${relative}/${name}`);
      continue;
    }
    const identity = `${stat.dev}:${stat.ino}`;
    const firstName = stat.nlink > 1n ? firstNames.get(identity) : undefined;
    if (firstName !== undefined) {
      yield { entry: { type: "hardlink", ...common, linkTarget: firstName }, content: undefined };
      continue;
    }
    if (stat.nlink > 1n) firstNames.set(identity, relative);
    yield await itemOf(full, stat, common);
  }
}

async function itemOf(full: Buffer, stat: BigIntStats, common: EntryAttributes): Promise<LayerItem> {
  if (stat.isFile()) {
    const size = Number(stat.size);
    if (size > MAX_FILE_SIZE) {
      throw new CodedError(
        "ERR_LIMIT_EXCEEDED",
        `${textOf(common.path)} has ${size} bytes, at most ${MAX_FILE_SIZE} are read`,
      );
    }
    return {
      entry: { type: "file", ...common, size, chunks: [] },
      content: readFile(full, size, common.path),
    };
  }
  if (stat.isSymbolicLink()) {
    const target = byteString(await readOf(common.path, readlink(full, { encoding: "buffer" })));
    const linkTarget = checkSymlinkTarget(common.path, target);
    return { entry: { type: "symlink", ...common, linkTarget }, content: undefined };
  }
  if (stat.isCharacterDevice() || stat.isBlockDevice()) {
    const type = stat.isCharacterDevice() ? "char" : "block";
    return { entry: { type, ...common, ...deviceNumbers(stat.rdev) }, content: undefined };
  }
  const isSocket = (stat.mode & FORMAT_BITS) === SOCKET_BITS;
  return { entry: { type: isSocket ? "socket" : "fifo", ...common }, content: undefined };
}

async function* readFile(full: Buffer, size: number, path: ByteString): AsyncGenerator<Uint8Array> {
  const file = await readOf(path, open(full, "r"));
  try {
    let read = 0;
    for (;;) {
      // Fresh memory each time: the pieces belong to whoever takes them.
      const piece = Buffer.allocUnsafeSlow(Math.min(READ_SIZE, size - read + 1));
      const { bytesRead } = await readOf(path, file.read(piece, 0, piece.length, read));
      read += bytesRead;
      if (bytesRead === 0 || read > size) break;
      yield piece.subarray(0, bytesRead);
    }
    if (read !== size) {
      throw new CodedError(
        "ERR_LAYER_INVALID",
        `${textOf(path)} changed while it was read: ${size} bytes before, ${read} or more now`,
      );
    }
  } finally {
    await file.close();
  }
}

async function lstatIn(full: Buffer, relative: ByteString): Promise<BigIntStats> {
  try {
    return await lstat(full, { bigint: true });
  } catch (error) {
    if (relative !== "" || (error as NodeJS.ErrnoException).code !== "ENOENT")
      throw unreadable(relative, error);
    throw new CodedError("ERR_PATH_NOT_FOUND", `${textOf(byteString(full))} does not exist`, {
      cause: error,
    });
  }
}

/** Waits for a system call that reads `path` of the directory. */
async function readOf<Result>(path: ByteString, call: Promise<Result>): Promise<Result> {
  try {
    return await call;
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: ByteString, cause: unknown): CodedError {
  return new CodedError("ERR_SOURCE_UNAVAILABLE", `${textOf(path || ".")} cannot be read`, { cause });
}

function attributesOf(stat: BigIntStats): Pick<EntryAttributes, "mode" | "uid" | "gid" | "mtime"> {
  const billion = 1_000_000_000n;
  const nanoseconds = ((stat.mtimeNs % billion) + billion) % billion;
  return {
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtime: { seconds: Number((stat.mtimeNs - nanoseconds) / billion), nanoseconds: Number(nanoseconds) },
  };
}

/** Takes Linux's dev_t apart (makedev in sysmacros.h). */
function deviceNumbers(rdev: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)),
  };
}

function join(root: Buffer, relative: ByteString): Buffer {
  return relative === "" ? root : Buffer.concat([root, Buffer.from("/"), bytesOf(relative)]);
}
