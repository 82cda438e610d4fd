import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { equalBytes } from "../base/bytes.ts";
import { cacheCorruptError, cacheIoError } from "./cache-file.ts";

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
    if (!equalBytes(await file.readFile(), bytes)) {
      throw cacheCorruptError(path, "is not the chunk information of its blob");
    }
  } finally {
    await file.close();
  }
}

/**
 * Writes a small file so that it is there whole or not at all, also after a power cut.
 *
 * @throws {CodedError} ERR_CACHE_IO.
 */
export async function writeFileWhole(path: string, bytes: Uint8Array): Promise<void> {
  const draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  try {
    const file = await open(draft, "wx", 0o600);
    try {
      await file.writeFile(bytes);
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (cause) {
    await rm(draft, { force: true });
    throw cacheIoError(path, cause);
  }
}
