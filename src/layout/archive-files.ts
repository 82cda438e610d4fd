import { CodedError } from "../base/errors.ts";
import type { FileSet } from "./file-set.ts";
import { openStoredFile, type StoredFile } from "./stored-file.ts";
import { TarIndex } from "./tar-index.ts";

/** The members of a tar archive, read where they lie. The archive is opened at the first use. */
export class ArchiveFiles implements FileSet {
  readonly #path: string;
  #opened: Promise<{ file: StoredFile; index: TarIndex }> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * @throws {CodedError} ERR_IMAGE_NOT_FOUND when there is no archive, or as {@link TarIndex.read}.
   */
  async find(path: string): Promise<StoredFile | undefined> {
    this.#opened ??= this.#open();
    return (await this.#opened).index.find(path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.file.handle.close();
  }

  async #open(): Promise<{ file: StoredFile; index: TarIndex }> {
    const file = await openStoredFile(this.#path);
    if (file === undefined) throw new CodedError("ERR_IMAGE_NOT_FOUND", `there is no archive ${this.#path}`);
    try {
      return { file, index: await TarIndex.read(file, this.#path) };
    } catch (error) {
      await file.handle.close();
      throw error;
    }
  }
}
