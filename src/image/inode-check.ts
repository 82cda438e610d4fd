import type { ByteString } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { MAX_DEVICE_MAJOR, MAX_DEVICE_MINOR } from "../format/erofs/device-number.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import type { Inode } from "./tree.ts";

const MAX_UINT32 = 0xffff_ffff;

/**
 * Checks that a name can stand in a directory.
 *
 * @param path The whole path, for messages.
 * @throws {CodedError} ERR_LIMIT_EXCEEDED for one too long, ERR_IMAGE_INVALID for any other fault.
 */
export function checkName(name: ByteString, path: ByteString): void {
  const { nameLength } = BOOTSTRAP_LIMITS;
  if (name.length > nameLength) {
    throw limit(path, `a name of ${name.length} bytes, RAFS holds ${nameLength}`);
  }
  if (name === "" || name === "." || name === ".." || /[/\0]|[^\0-\xff]/.test(name)) {
    throw invalid(path, `the name ${JSON.stringify(name)}`);
  }
}

/**
 * Checks that a RAFS v6 inode can hold an inode of the tree. Chunks and xattrs are checked where they are written.
 *
 * @param path For messages.
 * @throws {CodedError} ERR_LIMIT_EXCEEDED for what is sound but too large, ERR_IMAGE_INVALID for what makes no sense.
 */
export function checkInode(inode: Inode, path: ByteString, chunkSize: number): void {
  const { mode, uid, gid, mtime } = inode;
  if (!isUnsigned(mode, 0o7777)) throw invalid(path, `mode ${mode}`);
  if (!isUnsigned(uid, MAX_UINT32) || !isUnsigned(gid, MAX_UINT32)) {
    throw invalid(path, `owner ${uid}:${gid}`);
  }
  if (!Number.isSafeInteger(mtime.seconds) || !isUnsigned(mtime.nanoseconds, 999_999_999)) {
    throw invalid(path, `mtime ${mtime.seconds} s ${mtime.nanoseconds} ns`);
  }
  if (inode.type === "symlink") checkTarget(inode.target, path);
  if (inode.type === "char" || inode.type === "block") {
    const { major, minor } = inode;
    if (!isUnsigned(major, MAX_DEVICE_MAJOR) || !isUnsigned(minor, MAX_DEVICE_MINOR)) {
      throw limit(path, `device ${major}:${minor}, RAFS holds ${MAX_DEVICE_MAJOR}:${MAX_DEVICE_MINOR}`);
    }
  }
  if (inode.type === "file") {
    const { size, chunks } = inode;
    if (!isUnsigned(size, Number.MAX_SAFE_INTEGER)) throw invalid(path, `size ${size}`);
    const expected = Math.ceil(size / chunkSize);
    if (chunks.length !== expected) throw invalid(path, `${chunks.length} chunks, expected ${expected}`);
    chunks.forEach((chunk, k) => {
      const decodedSize = Math.min(chunkSize, size - k * chunkSize);
      if (chunk.decodedSize !== decodedSize) {
        throw invalid(path, `chunk ${k} of ${chunk.decodedSize} bytes, expected ${decodedSize}`);
      }
    });
  }
}

function checkTarget(target: ByteString, path: ByteString): void {
  const { targetLength } = BOOTSTRAP_LIMITS;
  if (target.length > targetLength) {
    throw limit(path, `a link target of ${target.length} bytes, RAFS holds ${targetLength}`);
  }
  if (target === "" || /\0|[^\0-\xff]/.test(target)) {
    throw invalid(path, `the link target ${JSON.stringify(target)}`);
  }
}

function isUnsigned(value: number, maximum: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= maximum;
}

function invalid(path: ByteString, what: string): CodedError {
  return new CodedError("ERR_IMAGE_INVALID", `${JSON.stringify(path)}: ${what}`);
}

function limit(path: ByteString, what: string): CodedError {
  return new CodedError("ERR_LIMIT_EXCEEDED", `${JSON.stringify(path)}: ${what}`);
}
