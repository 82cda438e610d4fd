import { type ByteString, equalBytes, textOf } from "../base/bytes.ts";
import { DIGEST_LENGTH } from "../codec/digest.ts";
import type { Chunk } from "../image/chunk.ts";
import type { Directory, Inode, RegularFile } from "../image/tree.ts";
import type { ReadBackBlob } from "./read-back-blob.ts";

/** A tree with its blobs as they were read again, by the `blobIndex` of the tree's chunks. */
export interface ReadBackTree {
  readonly root: Directory;
  readonly blobs: readonly (ReadBackBlob | undefined)[];
}

/** Directories that still have to be compared. */
interface PendingPair {
  /** Path with a slash at the end; empty for the root. */
  readonly prefix: ByteString;
  readonly from: Directory;
  readonly to: Directory;
}

/**
 * What of a written tree is not as its source: every path, type, attribute, xattr, link structure, and
 * for files the decoded bytes of every chunk, by digest.
 *
 * Both trees are walked side by side: memory is one pair of references for each inode.
 *
 * @param source The tree the source describes; of its chunks only sizes and digests are used.
 * @returns One line per difference, at most `maximum`.
 */
export function treeDifferences(source: Directory, written: ReadBackTree, maximum = 20): string[] {
  const differences: string[] = [];
  const links = new LinkPairs();
  const pending: PendingPair[] = [{ prefix: "", from: source, to: written.root }];
  const compare = (path: ByteString, from: Inode, to: Inode): void => {
    const difference =
      inodeDifference(from, to, written.blobs) ??
      (from.type === "dir" || links.isPair(from, to)
        ? undefined
        : "has other names than these as hard links");
    if (difference !== undefined) differences.push(`${textOf(path)} ${difference}`);
    else if (from.type === "dir" && to.type === "dir") pending.push({ prefix: `${path}/`, from, to });
  };
  const rootDifference = inodeDifference(source, written.root, written.blobs);
  if (rootDifference !== undefined) differences.push(`. ${rootDifference}`);
  for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
    const { prefix, from, to } = pair;
    for (const [name, inode] of from.children) {
      if (differences.length >= maximum) return differences;
      const found = to.children.get(name);
      if (found === undefined) differences.push(`${textOf(prefix + name)} is missing`);
      else compare(prefix + name, inode, found);
    }
    if (to.children.size === from.children.size) continue;
    for (const name of to.children.keys()) {
      if (differences.length >= maximum) return differences;
      if (!from.children.has(name)) differences.push(`${textOf(prefix + name)} is not in the source`);
    }
  }
  return differences;
}

/** Inodes of two trees that stand for each other: names of one inode must be names of one inode in the other. */
class LinkPairs {
  readonly #written = new Map<Inode, Inode>();
  readonly #sources = new Map<Inode, Inode>();

  /** False when one of them already stands for another. */
  isPair(from: Inode, to: Inode): boolean {
    const knownTo = this.#written.get(from);
    const knownFrom = this.#sources.get(to);
    if (knownTo === undefined && knownFrom === undefined) {
      this.#written.set(from, to);
      this.#sources.set(to, from);
      return true;
    }
    return knownTo === to && knownFrom === from;
  }
}

function inodeDifference(
  from: Inode,
  to: Inode,
  blobs: readonly (ReadBackBlob | undefined)[],
): string | undefined {
  if (from.type !== to.type) return `is of type ${to.type}, not ${from.type}`;
  for (const field of ["mode", "uid", "gid"] as const) {
    if (from[field] !== to[field]) return `has ${field} ${to[field]}, not ${from[field]}`;
  }
  const { mtime } = from;
  if (mtime.seconds !== to.mtime.seconds || mtime.nanoseconds !== to.mtime.nanoseconds) {
    return `has mtime ${to.mtime.seconds}.${to.mtime.nanoseconds}, not ${mtime.seconds}.${mtime.nanoseconds}`;
  }
  for (const [name, value] of from.xattrs) {
    const found = to.xattrs.get(name);
    if (found === undefined) return `lacks xattr ${textOf(name)}`;
    if (!equalBytes(found, value)) return `has another value of xattr ${textOf(name)}`;
  }
  if (from.xattrs.size !== to.xattrs.size) return `has ${to.xattrs.size} xattrs, not ${from.xattrs.size}`;
  if (from.type === "file" && to.type === "file") return fileDifference(from, to, blobs);
  if (from.type === "symlink" && to.type === "symlink" && from.target !== to.target) {
    return `points to ${textOf(to.target)}, not to ${textOf(from.target)}`;
  }
  if ("major" in from && "major" in to && (from.major !== to.major || from.minor !== to.minor)) {
    return `is device ${to.major}:${to.minor}, not ${from.major}:${from.minor}`;
  }
  return undefined;
}

function fileDifference(
  from: RegularFile,
  to: RegularFile,
  blobs: readonly (ReadBackBlob | undefined)[],
): string | undefined {
  if (from.size !== to.size) return `has ${to.size} bytes, not ${from.size}`;
  if (from.chunks.length !== to.chunks.length) {
    return `has ${to.chunks.length} chunks, not ${from.chunks.length}`;
  }
  for (const [index, wanted] of from.chunks.entries()) {
    const found = to.chunks[index];
    const difference = found && chunkDifference(wanted, found, blobs[found.blobIndex]);
    if (difference !== undefined) return `has a chunk ${index} that ${difference}`;
  }
  return undefined;
}

function chunkDifference(wanted: Chunk, found: Chunk, blob: ReadBackBlob | undefined): string | undefined {
  if (blob === undefined) return `is in blob ${found.blobIndex}, which is not there`;
  if (found.index >= blob.table.count) return `is number ${found.index} of ${blob.table.count}`;
  const { decodedOffsets, decodedSizes, storedOffsets, storedSizes } = blob.table;
  if (found.decodedOffset !== decodedOffsets[found.index]) {
    return `lies at ${found.decodedOffset}, its blob says ${decodedOffsets[found.index]}`;
  }
  if (wanted.decodedSize !== decodedSizes[found.index]) {
    return `has ${decodedSizes[found.index]} bytes, not ${wanted.decodedSize}`;
  }
  // Readers go by the blob's own table, but nydusd compares the two.
  if (found.storedOffset !== storedOffsets[found.index] || found.storedSize !== storedSizes[found.index]) {
    return `is stored in ${found.storedSize} bytes at ${found.storedOffset}, its blob says otherwise`;
  }
  if (found.crc32c !== undefined && found.crc32c !== blob.table.crc32cOf(found.index)) {
    return "has another CRC-32C in the bootstrap";
  }
  const digest = blob.digests.subarray(found.index * DIGEST_LENGTH, (found.index + 1) * DIGEST_LENGTH);
  if (wanted.digest === undefined || !equalBytes(wanted.digest, digest)) return "decodes to other bytes";
  if (found.digest !== undefined && !equalBytes(found.digest, digest)) {
    return "has another digest in the bootstrap";
  }
  return undefined;
}
