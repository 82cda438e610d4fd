import type { Buffer } from "node:buffer";
import { chmod, lchown, lutimes } from "node:fs/promises";
import { type ByteString, bytesOf } from "../base/bytes.ts";
import type { Inode } from "../image/tree.ts";
import { addon } from "../native/addon.ts";
import type { LossKind, UnpackLosses } from "./unpack-losses.ts";

/** What a system says when a user may not, or a filesystem cannot. */
const REFUSALS: readonly (string | undefined)[] = [
  "EPERM",
  "EACCES",
  "ENOTSUP",
  "EOPNOTSUPP",
  "EINVAL",
  "ENOSPC",
  "E2BIG",
];

const SET_ID_BITS = 0o6000;

/**
 * Gives what was just made the owner, mode, extended attributes and time of its inode, in the order that
 * loses none: chown clears set-id bits and capabilities, and everything but utimensat changes the time.
 *
 * @param losses Told of what this user or this system cannot restore.
 * @throws what the system says, when it is neither.
 */
export async function restoreAttributes(
  full: Buffer,
  path: ByteString,
  inode: Inode,
  losses: UnpackLosses,
): Promise<void> {
  const attempt = async (kind: LossKind, action: () => unknown): Promise<boolean> => {
    try {
      await action();
      return true;
    } catch (error) {
      if (!REFUSALS.includes((error as NodeJS.ErrnoException).code)) throw error;
      losses.add(kind, path);
      return false;
    }
  };
  const isRoot = process.geteuid?.() === 0;
  const isOwn = process.geteuid?.() === inode.uid && process.getegid?.() === inode.gid;
  const isOwned = isOwn && !isRoot ? true : await attempt("owner", () => lchown(full, inode.uid, inode.gid));
  // A set-id file of another owner would lend out the rights of whoever unpacks it.
  const mode = isOwned ? inode.mode : inode.mode & ~SET_ID_BITS;
  if (mode !== inode.mode) losses.add("mode", path);
  if (inode.type !== "symlink") await attempt("mode", () => chmod(full, mode));
  const native = addon();
  if (inode.xattrs.size > 0) {
    await attempt("xattr", () => {
      if (native === undefined) throw Object.assign(new Error("no addon"), { code: "ENOTSUP" });
      for (const [name, value] of inode.xattrs) native.lsetxattr(full, bytesOf(name), value);
    });
  }
  const { mtime } = inode;
  if (native !== undefined) {
    await attempt("mtime", () => native.lutimens(full, mtime, mtime));
    return;
  }
  // Node's times are floating point: whole seconds are exact.
  await lutimes(full, mtime.seconds, mtime.seconds);
  if (mtime.nanoseconds !== 0) losses.add("mtime", path);
}
