import { join } from "node:path";
import { CodedError } from "../base/errors.ts";
import { openStoredFile, type StoredFile } from "./stored-file.ts";

/** The files of a layout by their paths inside it: a directory, or the members of an archive. */
export interface FileSet extends AsyncDisposable {
  /** The file, or `undefined` when there is none. It stays readable until the set is disposed. */
  find(path: string): Promise<StoredFile | undefined>;
}

/** Files held open at once: the layers of one image and its documents. */
const MAX_OPEN_FILES = 4096;

/** The files under a directory. Each is opened once and kept open, so ranged reads cost one pread. */
export class DirectoryFiles implements FileSet {
  readonly #directory: string;
  readonly #open = new Map<string, Promise<StoredFile | undefined>>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  async find(path: string): Promise<StoredFile | undefined> {
    const known = this.#open.get(path);
    if (known !== undefined) return known;
    if (this.#open.size >= MAX_OPEN_FILES) {
      throw new CodedError("ERR_LIMIT_EXCEEDED", `${this.#directory} has over ${MAX_OPEN_FILES} files open`);
    }
    const opening = openStoredFile(join(this.#directory, path));
    this.#open.set(path, opening);
    try {
      const file = await opening;
      // Absence is not remembered: a writer may be at work.
      if (file === undefined) this.#open.delete(path);
      return file;
    } catch (error) {
      this.#open.delete(path);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const files = await Promise.allSettled(this.#open.values());
    this.#open.clear();
    for (const file of files) if (file.status === "fulfilled") await file.value?.handle.close();
  }
}
