import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { CodedError } from "../base/errors.ts";

const BUFFER_SIZE = 2 ** 20;

/** A new file that is written from start to end, with the sha256 of everything written so far. */
export class DigestedFile implements AsyncDisposable {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #sha256 = createHash("sha256");
  readonly #buffer = new Uint8Array(BUFFER_SIZE);
  #filled = 0;
  #size = 0;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  /**
   * Creates the file; it must not exist.
   *
   * @throws {CodedError} ERR_TARGET_IO.
   */
  static async create(path: string): Promise<DigestedFile> {
    try {
      return new DigestedFile(path, await open(path, "wx", 0o600));
    } catch (cause) {
      throw new CodedError("ERR_TARGET_IO", `cannot create ${path}`, { cause });
    }
  }

  /** Bytes appended so far. */
  get size(): number {
    return this.#size;
  }

  /** sha256 of the bytes appended so far. */
  digest(): Uint8Array {
    const digest = this.#sha256.copy().digest();
    return new Uint8Array(digest.buffer, digest.byteOffset, digest.byteLength);
  }

  /**
   * Appends bytes. They may be changed once the call is done.
   *
   * @throws {CodedError} ERR_TARGET_IO when they cannot be written.
   */
  async append(bytes: Uint8Array): Promise<void> {
    this.#sha256.update(bytes);
    this.#size += bytes.length;
    if (this.#filled + bytes.length > BUFFER_SIZE) await this.#flush();
    if (bytes.length >= BUFFER_SIZE) {
      await this.#write(bytes);
    } else {
      this.#buffer.set(bytes, this.#filled);
      this.#filled += bytes.length;
    }
  }

  /**
   * Writes what is still in memory and closes the file.
   *
   * @throws {CodedError} ERR_TARGET_IO.
   */
  async close(): Promise<void> {
    await this.#flush();
    await this.#handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Closing twice is allowed, and a file that is given up need not be complete.
    await this.#handle.close();
  }

  async #flush(): Promise<void> {
    const filled = this.#filled;
    this.#filled = 0;
    if (filled > 0) await this.#write(this.#buffer.subarray(0, filled));
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      // FileHandle.write may write less than asked for, writeFile does not.
      await this.#handle.writeFile(bytes);
    } catch (cause) {
      throw new CodedError("ERR_TARGET_IO", `cannot write ${this.path}`, { cause });
    }
  }
}
