import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { link, lstat, mkdir, mkdtemp, open, readdir, rename, rm, symlink } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { throwIfAborted } from "../base/abort.ts";
import { type ByteString, bytesOf } from "../base/bytes.ts";
import { CodedError, isCoded } from "../base/errors.ts";
import { type Inode, listTree, type RegularFile, type TreeRow } from "../image/tree.ts";
import { addon } from "../native/addon.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import type { ChunkReader } from "./chunk-reader.ts";
import { openChunkReader } from "./list-image.ts";
import type { NydusImage } from "./nydus-image.ts";
import { restoreAttributes } from "./restore-attributes.ts";
import type { UnpackLosses } from "./unpack-losses.ts";

const FORMAT_BITS = { char: 0o020000, block: 0o060000, fifo: 0o010000, socket: 0o140000 } as const;

/**
 * Writes the tree of an image to a directory, which appears when all is written or not at all: until then
 * the tree grows in a folder beside it, which nobody else may enter.
 *
 * @param path Must not exist, or be an empty directory; its parent must exist.
 * @param losses Told of what this user or this system cannot restore.
 * @throws {CodedError} ERR_TARGET_EXISTS, ERR_TARGET_IO, and what reading the image throws.
 */
export async function unpackDirectory(
  image: NydusImage,
  path: string,
  losses: UnpackLosses,
  options: ReadOptions,
): Promise<void> {
  const target = resolve(path);
  await checkTarget(target);
  const reader = await openChunkReader(image, options);
  const draft = await onDisk(path, () => mkdtemp(join(dirname(target), `${basename(target)}.tmp-`)));
  try {
    const names = listTree(image.bootstrap.root);
    await writeNames(draft, names, reader, losses, options);
    // Children first: writing into a directory changes its time, and its mode may forbid it.
    for (const { path: name, inode } of names.toReversed()) {
      if (inode.type === "dir")
        await onDisk(name, () => restoreAttributes(fullPath(draft, name), name, inode, losses));
    }
    await onDisk(path, () => rename(draft, target));
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
}

async function writeNames(
  draft: string,
  names: readonly TreeRow[],
  reader: ChunkReader,
  losses: UnpackLosses,
  options: ReadOptions,
): Promise<void> {
  const firstPaths = new Map<Inode, Buffer>();
  for (const { path, inode } of names) {
    throwIfAborted(options.signal);
    if (path === ".") continue;
    const full = fullPath(draft, path);
    const first = firstPaths.get(inode);
    if (first !== undefined) {
      await onDisk(path, () => link(first, full));
      continue;
    }
    const isMade = await makeInode(full, path, inode, reader, losses, options);
    if (!isMade || inode.type === "dir") continue;
    firstPaths.set(inode, full);
    await onDisk(path, () => restoreAttributes(full, path, inode, losses));
  }
}

/** @returns False when this user or this system cannot make such an inode. */
async function makeInode(
  full: Buffer,
  path: ByteString,
  inode: Inode,
  reader: ChunkReader,
  losses: UnpackLosses,
  options: ReadOptions,
): Promise<boolean> {
  switch (inode.type) {
    case "dir":
      await onDisk(path, () => mkdir(full, { mode: 0o700 }));
      return true;
    case "file":
      await writeFile(full, path, inode, reader, options);
      return true;
    case "symlink":
      await onDisk(path, () => symlink(Buffer.from(bytesOf(inode.target)), full));
      return true;
    default: {
      const { type } = inode;
      const [major, minor] = type === "char" || type === "block" ? [inode.major, inode.minor] : [0, 0];
      try {
        addon()?.mknod(full, FORMAT_BITS[type] | 0o600, major, minor);
        if (addon() !== undefined) return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EPERM") throw diskError(path, error);
      }
      losses.add(type, path);
      return false;
    }
  }
}

async function writeFile(
  full: Buffer,
  path: ByteString,
  inode: RegularFile,
  reader: ChunkReader,
  options: ReadOptions,
): Promise<void> {
  // Nothing can be there, and no link is followed: the folder is ours alone.
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = await onDisk(path, () => open(full, flags, 0o600));
  try {
    for await (const bytes of reader.readFile(inode, options))
      await onDisk(path, () => file.writeFile(bytes));
  } finally {
    await file.close();
  }
}

/** Every component was checked when the bootstrap was read: no slash, no `..`, and parents are directories. */
function fullPath(draft: string, path: ByteString): Buffer {
  return path === "." ? Buffer.from(draft) : Buffer.concat([Buffer.from(`${draft}/`), bytesOf(path)]);
}

async function checkTarget(target: string): Promise<void> {
  try {
    const stat = await lstat(target);
    if (stat.isDirectory() && (await readdir(target)).length === 0) return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw diskError(target, error);
  }
  throw new CodedError("ERR_TARGET_EXISTS", `${target} exists and is not an empty directory`);
}

async function onDisk<Result>(path: string, action: () => Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    throw isCoded(error) ? error : diskError(path, error);
  }
}

function diskError(path: string, cause: unknown): CodedError {
  return new CodedError("ERR_TARGET_IO", `${JSON.stringify(path)} cannot be written`, { cause });
}
