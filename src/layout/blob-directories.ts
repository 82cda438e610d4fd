import { throwIfAborted } from "../base/abort.ts";
import { isBlobId } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import type { BlobSource, ReadOptions } from "../store/blob-source.ts";
import { DirectoryFiles } from "./file-set.ts";
import { readStored, type StoredFile } from "./stored-file.ts";

/** Blobs in plain directories, each in a file named by its id. Files stay open until the source is disposed. */
export class BlobDirectories implements BlobSource, AsyncDisposable {
  readonly name: string;
  readonly #directories: readonly DirectoryFiles[];

  /** @param directories Searched in order. */
  constructor(directories: readonly string[]) {
    this.name = directories.length === 0 ? "no directory" : `directory ${directories.join(", ")}`;
    this.#directories = directories.map((directory) => new DirectoryFiles(directory));
  }

  async read(blobId: string, offset: number, length: number, options: ReadOptions): Promise<Uint8Array> {
    throwIfAborted(options.signal);
    const file = await this.#find(blobId);
    return readStored(file, offset, length, `blob ${blobId} in ${this.name}`, "ERR_BLOB_CORRUPT");
  }

  async size(blobId: string, options: ReadOptions): Promise<number> {
    throwIfAborted(options.signal);
    return (await this.#find(blobId)).size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const directory of this.#directories) await directory[Symbol.asyncDispose]();
  }

  async #find(blobId: string): Promise<StoredFile> {
    // The id becomes a file name: nothing else may stand there.
    if (isBlobId(blobId)) {
      for (const directory of this.#directories) {
        const file = await directory.find(blobId);
        if (file !== undefined) return file;
      }
    }
    throw new CodedError("ERR_BLOB_NOT_FOUND", `${this.name} has no blob ${blobId}`);
  }
}
