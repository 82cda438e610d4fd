import { equalBytes, textOf } from "../base/bytes.ts";
import { DIGEST_LENGTH } from "../codec/digest.ts";
import type { Chunk } from "../image/chunk.ts";
import { type Directory, type Inode, listTree, type RegularFile, type TreeRow } from "../image/tree.ts";
import type { ReadBackBlob } from "./read-back-blob.ts";
import { sourceSum } from "./source-chunk.ts";

/** A tree with its blobs as they were read again, by the `blobIndex` of the tree's chunks. */
export interface ReadBackTree {
  readonly root: Directory;
  readonly blobs: readonly (ReadBackBlob | undefined)[];
}

/**
 * What of a written tree is not as its source: every path, type, attribute, xattr, link structure, and
 * for files the decoded bytes of every chunk, by digest.
 *
 * @param source The tree the source describes; of its chunks only sizes and digests are used.
 * @returns One line per difference, at most `maximum`.
 */
export function treeDifferences(source: Directory, written: ReadBackTree, maximum = 20): string[] {
  const differences: string[] = [];
  const sourceRows = listTree(source);
  const writtenRows = listTree(written.root);
  const sourceLinks = firstPaths(sourceRows);
  const writtenLinks = firstPaths(writtenRows);
  let left = 0;
  let right = 0;
  while ((left < sourceRows.length || right < writtenRows.length) && differences.length < maximum) {
    const from = sourceRows[left];
    const to = writtenRows[right];
    if (to === undefined || (from !== undefined && from.path !== to.path && isBefore(from, to))) {
      differences.push(`${textOf(from?.path ?? "")} is missing`);
      left++;
    } else if (from === undefined || from.path !== to.path) {
      differences.push(`${textOf(to.path)} is not in the source`);
      right++;
    } else {
      const found = inodeDifference(from.inode, to.inode, written.blobs);
      const fromLink = sourceLinks.get(from.inode);
      const toLink = writtenLinks.get(to.inode);
      if (found !== undefined) differences.push(`${textOf(from.path)} ${found}`);
      else if (fromLink !== toLink) {
        differences.push(
          `${textOf(from.path)} is linked to ${textOf(toLink ?? "")}, not to ${textOf(fromLink ?? "")}`,
        );
      }
      left++;
      right++;
    }
  }
  return differences;
}

/** Rows are in the order of their path's bytes, except the root, which comes first. */
function isBefore(left: TreeRow, right: TreeRow): boolean {
  return left.path === "." || (right.path !== "." && left.path < right.path);
}

/** For every inode that is not a directory: its first path. */
function firstPaths(rows: readonly TreeRow[]): Map<Inode, string> {
  const paths = new Map<Inode, string>();
  for (const { path, inode } of rows) {
    if (inode.type !== "dir" && !paths.has(inode)) paths.set(inode, path);
  }
  return paths;
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
  const { decodedOffsets, decodedSizes } = blob.table;
  if (found.decodedOffset !== decodedOffsets[found.index]) {
    return `lies at ${found.decodedOffset}, its blob says ${decodedOffsets[found.index]}`;
  }
  if (wanted.decodedSize !== decodedSizes[found.index]) {
    return `has ${decodedSizes[found.index]} bytes, not ${wanted.decodedSize}`;
  }
  const digest = blob.digests.subarray(found.index * DIGEST_LENGTH, (found.index + 1) * DIGEST_LENGTH);
  if (wanted.digest === undefined || !equalBytes(wanted.digest, digest)) return "decodes to other bytes";
  if (sourceSum(wanted) !== blob.sums[found.index]) return "is not what the file has there";
  if (found.digest !== undefined && !equalBytes(found.digest, digest)) {
    return "has another digest in the bootstrap";
  }
  return undefined;
}
