import { constants, type FileHandle, open } from "node:fs/promises";
import { throwIfAborted } from "../base/abort.ts";
import { CodedError, type ErrorCode } from "../base/errors.ts";

/** Bytes in a file: a file of its own, or a member of an archive. */
export interface StoredFile {
  readonly handle: FileHandle;
  /** First byte, from the start of the file behind `handle`. */
  readonly offset: number;
  readonly size: number;
}

/** Bytes of one piece of a streamed file. */
const PIECE_SIZE = 256 * 1024;

/**
 * Opens a regular file for reading; `undefined` when there is none of that name.
 *
 * @throws {CodedError} ERR_IMAGE_INVALID for a directory, pipe or device, ERR_SOURCE_UNAVAILABLE when
 *   the system refuses.
 */
export async function openStoredFile(path: string): Promise<StoredFile | undefined> {
  let handle: FileHandle;
  try {
    // A pipe in the place of a file would otherwise wait for a writer for ever.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const code = systemCode(cause);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new CodedError("ERR_SOURCE_UNAVAILABLE", `${path} cannot be opened: ${code}`, { cause });
  }
  try {
    const stat = await handle.stat();
    if (stat.isFile()) return { handle, offset: 0, size: stat.size };
    throw new CodedError("ERR_IMAGE_INVALID", `${path} is not a regular file`);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Reads exactly `length` bytes from `offset` of a stored file.
 *
 * @param onShort The code when the file ends early.
 * @throws {CodedError} `onShort`, or ERR_SOURCE_UNAVAILABLE when the system refuses.
 */
export async function readStored(
  file: StoredFile,
  offset: number,
  length: number,
  what: string,
  onShort: ErrorCode,
): Promise<Uint8Array> {
  const end = offset + length;
  const isShort = (): CodedError =>
    new CodedError(onShort, `${what} ends at ${file.size} before byte ${end}`);
  if (end > file.size) throw isShort();
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await readOrFail(
      file,
      bytes,
      done,
      length - done,
      file.offset + offset + done,
      what,
    );
    if (bytesRead === 0) throw isShort();
    done += bytesRead;
  }
  return bytes;
}

/** Streams a stored file in pieces; each piece is the reader's to keep. */
export async function* streamStored(
  file: StoredFile,
  what: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let offset = 0; offset < file.size; offset += PIECE_SIZE) {
    throwIfAborted(signal);
    yield readStored(file, offset, Math.min(PIECE_SIZE, file.size - offset), what, "ERR_BLOB_CORRUPT");
  }
}

/** The errno name of a system error: `ENOENT`. */
export function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

async function readOrFail(
  file: StoredFile,
  bytes: Buffer,
  start: number,
  length: number,
  position: number,
  what: string,
): Promise<{ bytesRead: number }> {
  try {
    return await file.handle.read(bytes, start, length, position);
  } catch (cause) {
    throw new CodedError("ERR_SOURCE_UNAVAILABLE", `${what} cannot be read: ${systemCode(cause)}`, { cause });
  }
}
