import { constants } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { equalBytes, isZero, toHex } from "../base/bytes.ts";
import { DIGEST_LENGTH, sha256 } from "../codec/digest.ts";
import { cacheIoError, writeFileWhole } from "./cache-file.ts";
import type { ChunkedBlob } from "./chunk-source.ts";

/** Digest tables of one blob that are compared. Beyond it an image gets files of its own. */
const MAX_TABLES = 256;

/**
 * The folder for the cache files of a blob. Images that share a blob share its files in `directory`, but only as long
 * as they agree on what its chunks are: an image can claim any blob id, and its chunks would be written under the eyes
 * of another image's readers, or of the kernel. One that disagrees gets a folder of its own.
 *
 * Every digest table in use lies beside the cache file, as `ID.blob.data.digests.SHA256`, and is written before the
 * others are read: of two that come at once at least one sees the other.
 *
 * @throws {CodedError} ERR_CACHE_IO.
 */
export async function cacheFolderOf(directory: string, blob: ChunkedBlob): Promise<string> {
  const table = blob.digests ?? new Uint8Array(0);
  const name = toHex(sha256(table));
  const prefix = `${blob.id}.blob.data.digests.`;
  const own = `${prefix}${name}`;
  const before = await tablesIn(directory, prefix);
  if (!before.includes(own)) await writeFileWhole(join(directory, own), table);
  const others = (await tablesIn(directory, prefix)).filter((other) => other !== own);
  let agree = others.length < MAX_TABLES;
  for (const other of others) {
    agree &&= tablesAgree(table, await readTable(join(directory, other), table.length));
  }
  return agree ? directory : join(directory, "apart", name);
}

/** Whether two tables say the same of every chunk that both name. */
function tablesAgree(own: Uint8Array, other: Uint8Array | undefined): boolean {
  if (other?.length !== own.length) return false;
  for (let start = 0; start < own.length; start += DIGEST_LENGTH) {
    const [left, right] = [own, other].map((table) => table.subarray(start, start + DIGEST_LENGTH));
    if (left === undefined || right === undefined || isZero(left) || isZero(right)) continue;
    if (!equalBytes(left, right)) return false;
  }
  return true;
}

async function tablesIn(directory: string, prefix: string): Promise<string[]> {
  try {
    const names = await readdir(directory);
    return names.filter(
      (name) => name.startsWith(prefix) && /^[0-9a-f]{64}$/.test(name.slice(prefix.length)),
    );
  } catch (cause) {
    throw cacheIoError(directory, cause);
  }
}

/** A table of `size` bytes; undefined when the file holds anything else, which no image can agree with. */
async function readTable(path: string, size: number): Promise<Uint8Array | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stat = await file.stat();
      return stat.isFile() && stat.size === size ? await file.readFile() : undefined;
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw cacheIoError(path, cause);
  }
}
