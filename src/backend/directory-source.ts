import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { throwIfAborted } from "../base/abort.ts";
import { isBlobId } from "../base/digest.ts";
import { CodedError, isCoded } from "../base/errors.ts";
import type { BlobSource, ReadOptions } from "../store/blob-source.ts";

/**
 * Blobs that lie in local folders under their ids. The first folder that has a blob serves it. Files stay
 * open until the source is disposed.
 */
export class DirectorySource implements BlobSource, AsyncDisposable {
  readonly name: string;
  readonly #directories: readonly string[];
  readonly #open = new Map<string, Promise<FileHandle>>();

  /** @param directories Folders, in the order in which they are asked. */
  constructor(directories: readonly string[]) {
    this.name =
      directories.length === 0 ? "an empty list of directories" : `directory ${directories.join(", ")}`;
    this.#directories = directories;
  }

  async read(blobId: string, offset: number, length: number, { signal }: ReadOptions): Promise<Uint8Array> {
    throwIfAborted(signal);
    const file = await this.#get(blobId);
    // The range is checked first: a hostile length must not become an allocation.
    const size = await sizeOf(file, blobId, this.name);
    if (!(offset >= 0 && length >= 0 && offset + length <= size)) {
      throw new CodedError(
        "ERR_BLOB_CORRUPT",
        `blob ${blobId} from ${this.name} has ${size} bytes, wanted ${offset} to ${offset + length}`,
      );
    }
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      throwIfAborted(signal);
      const bytesRead = await readSome(file, bytes, done, offset, `blob ${blobId} from ${this.name}`);
      if (bytesRead === 0) {
        throw new CodedError("ERR_BLOB_CORRUPT", `blob ${blobId} from ${this.name} shrank while it was read`);
      }
      done += bytesRead;
    }
    return bytes;
  }

  async size(blobId: string, { signal }: ReadOptions): Promise<number> {
    throwIfAborted(signal);
    return sizeOf(await this.#get(blobId), blobId, this.name);
  }

  /** Closes all files. */
  async [Symbol.asyncDispose](): Promise<void> {
    const files = [...this.#open.values()];
    this.#open.clear();
    await Promise.allSettled(files.map(async (file) => (await file).close()));
  }

  #get(blobId: string): Promise<FileHandle> {
    let file = this.#open.get(blobId);
    if (file === undefined) {
      file = this.#find(blobId);
      this.#open.set(blobId, file);
      // A blob that is missing now may be there at the next read.
      file.catch(() => this.#open.delete(blobId));
    }
    return file;
  }

  async #find(blobId: string): Promise<FileHandle> {
    // Ids become file names: anything but hex digits could name a file elsewhere.
    if (isBlobId(blobId)) {
      for (const directory of this.#directories) {
        const file = await openBlob(join(directory, blobId), this.name);
        if (file !== undefined) return file;
      }
    }
    throw new CodedError(
      "ERR_BLOB_NOT_FOUND",
      `blob ${isBlobId(blobId) ? blobId : JSON.stringify(blobId)} is not in ${this.name}`,
    );
  }
}

/** The file; absent when there is no regular file of that name. */
async function openBlob(path: string, place: string): Promise<FileHandle | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if ((await file.stat()).isFile()) return file;
    await file.close();
    return undefined;
  } catch (error) {
    await file?.close().catch(() => undefined);
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw unavailable(place, error);
  }
}

async function sizeOf(file: FileHandle, blobId: string, place: string): Promise<number> {
  try {
    return (await file.stat()).size;
  } catch (error) {
    throw unavailable(`blob ${blobId} from ${place}`, error);
  }
}

async function readSome(
  file: FileHandle,
  bytes: Uint8Array,
  done: number,
  offset: number,
  what: string,
): Promise<number> {
  try {
    return (await file.read(bytes, done, bytes.length - done, offset + done)).bytesRead;
  } catch (error) {
    throw unavailable(what, error);
  }
}

function unavailable(what: string, cause: unknown): unknown {
  if (isCoded(cause)) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new CodedError("ERR_SOURCE_UNAVAILABLE", `${what}: ${reason}`, { cause });
}
