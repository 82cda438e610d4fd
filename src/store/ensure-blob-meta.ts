import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { equalBytes } from "../base/bytes.ts";
import { cacheCorruptError, cacheIoError, readFully, writeFileWhole } from "./cache-file.ts";

/**
 * Makes sure that a blob's `ID.blob.meta` holds `bytes`. A file that is there already is never changed.
 *
 * @throws {CodedError} ERR_CACHE_CORRUPT when it holds something else, ERR_CACHE_IO.
 */
export async function ensureBlobMeta(path: string, bytes: Uint8Array): Promise<void> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cacheIoError(path, cause);
    await writeFileWhole(path, bytes);
    return;
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw cacheCorruptError(path, "is not a regular file");
    if (stat.size !== bytes.length) {
      throw cacheCorruptError(path, `has ${stat.size} bytes, its blob needs ${bytes.length}`);
    }
    if (!equalBytes(await readFully(file, path, 0, bytes.length), bytes)) {
      throw cacheCorruptError(path, "is not the chunk information of its blob");
    }
  } finally {
    await file.close();
  }
}
