import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { CodedError, isCoded } from "../base/errors.ts";
import { makeDirectory } from "./make-directory.ts";

/** The calls that the cache makes on a file. A test puts its own between, to see or to fail them. */
export type CacheFile = Pick<
  FileHandle,
  "read" | "write" | "stat" | "truncate" | "datasync" | "close" | "fd"
>;

/** Opens a file of the cache for reading and writing, made when it is absent. */
export type OpenCacheFile = (path: string) => Promise<CacheFile>;

/** Wraps a failure of the operating system with the file it is about. */
export function cacheIoError(path: string, cause: unknown): CodedError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new CodedError("ERR_CACHE_IO", `cache file ${path}: ${reason}`, { cause });
}

/** The error of a file that is not what the cache writes. Nothing is deleted: it may be somebody's data. */
export function cacheCorruptError(path: string, what: string): CodedError {
  return new CodedError("ERR_CACHE_CORRUPT", `cache file ${path} ${what}`);
}

/**
 * Makes the folder of the cache when it is absent, for its owner only.
 *
 * @throws {CodedError} ERR_CACHE_IO.
 */
export async function createCacheDirectory(path: string): Promise<void> {
  try {
    await makeDirectory(path, 0o700);
  } catch (cause) {
    throw cacheIoError(path, cause);
  }
}

/**
 * Opens a regular file, made readable for its owner only. A symbolic link is refused: in a shared folder it
 * would let its maker choose which file we write.
 *
 * @throws {CodedError} ERR_CACHE_IO, ERR_CACHE_CORRUPT when it is not a regular file.
 */
export const openCacheFile: OpenCacheFile = async (path) => {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  let file: FileHandle;
  try {
    // O_NONBLOCK: opening a pipe that somebody left here must not wait.
    file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  } catch (cause) {
    throw cacheIoError(path, cause);
  }
  try {
    if ((await file.stat()).isFile()) return file;
    throw cacheCorruptError(path, "is not a regular file");
  } catch (cause) {
    await file.close();
    throw isCoded(cause) ? cause : cacheIoError(path, cause);
  }
};

/**
 * Reads exactly `length` bytes.
 *
 * @throws {CodedError} ERR_CACHE_IO, also when the file ends before.
 */
export async function readFully(
  file: CacheFile,
  path: string,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    let bytesRead: number;
    try {
      ({ bytesRead } = await file.read(bytes, done, length - done, offset + done));
    } catch (cause) {
      throw cacheIoError(path, cause);
    }
    if (bytesRead === 0) throw cacheIoError(path, new Error(`ends before ${offset + length}`));
    done += bytesRead;
  }
  return bytes;
}

/**
 * Writes all bytes.
 *
 * @throws {CodedError} ERR_CACHE_IO.
 */
export async function writeFully(
  file: CacheFile,
  path: string,
  offset: number,
  bytes: Uint8Array,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
    } catch (cause) {
      throw cacheIoError(path, cause);
    }
  }
}

/**
 * Makes a file `size` bytes long: a new one is empty, one that was cut short gets its hole back.
 *
 * @throws {CodedError} ERR_CACHE_CORRUPT when it is longer, ERR_CACHE_IO.
 */
export async function growFile(file: CacheFile, path: string, size: number): Promise<void> {
  try {
    const found = (await file.stat()).size;
    if (found > size) throw cacheCorruptError(path, `has ${found} bytes, expected ${size}`);
    if (found < size) await file.truncate(size);
  } catch (cause) {
    throw isCoded(cause) ? cause : cacheIoError(path, cause);
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
