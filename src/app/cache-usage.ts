import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "../base/errors.ts";
import type { SharedBlobs } from "../daemon/shared-blobs.ts";
import type { CacheReply } from "../node/control-messages.ts";

/** Bytes of a block of st_blocks. */
const STAT_BLOCK = 512;

/**
 * What the cache takes on the disk.
 *
 * @throws {CodedError} ERR_CACHE_IO.
 */
export async function cacheUsage({ directory, ids }: SharedBlobs): Promise<CacheReply> {
  const blobs = new Map<string, { usedSize: number; decodedSize: number }>();
  let usedSize = 0;
  for (const name of await listNames(directory)) {
    const found = await stat(join(directory, name)).catch(() => undefined);
    // It went away while we looked.
    if (found?.isFile() !== true) continue;
    const size = found.blocks * STAT_BLOCK;
    usedSize += size;
    const id = /^([0-9a-f]{64})\.blob\./.exec(name)?.[1];
    if (id === undefined) continue;
    const blob = blobs.get(id) ?? { usedSize: 0, decodedSize: 0 };
    blobs.set(id, blob);
    blob.usedSize += size;
    if (name.endsWith(".blob.data")) blob.decodedSize = found.size;
  }
  const rows = [...blobs].map(([id, sizes]) => ({ id, ...sizes, isMounted: ids.has(id) }));
  return { directory, usedSize, blobs: rows.sort((left, right) => (left.id < right.id ? -1 : 1)) };
}

async function listNames(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (cause) {
    throw new CodedError("ERR_CACHE_IO", `cache folder ${directory}`, { cause });
  }
}
