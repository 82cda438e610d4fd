import { constants, type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CodedError } from "../base/errors.ts";
import { removeAbandoned, temporaryName } from "../store/temporary-name.ts";
import { systemCode } from "./stored-file.ts";

const PREFIX = ".nydus-tmp-";

/** A name beside the final files that no reader of a layout looks at. */
export function temporaryPath(directory: string): string {
  return join(directory, temporaryName(PREFIX));
}

/** Removes what {@link temporaryPath} named in a directory and a killed process left there. */
export function removeAbandonedFiles(directory: string): Promise<void> {
  return removeAbandoned(directory, PREFIX);
}

/**
 * Writes a file so that under its name stands nothing, what was there before, or all of the pieces:
 * also after a power cut. When the pieces fail, their error comes out and no file is left behind.
 *
 * @throws {CodedError} ERR_TARGET_IO when the system refuses, or what `pieces` throws.
 */
export async function writeDurably(
  path: string,
  temporaryDirectory: string,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const temporary = temporaryPath(temporaryDirectory);
  try {
    const handle = await ioOf(
      path,
      open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o644),
    );
    try {
      for await (const piece of pieces) await writeAll(handle, piece, path);
      await ioOf(path, handle.sync());
    } finally {
      await handle.close();
    }
    await ioOf(path, rename(temporary, path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Makes the names in a directory survive a power cut. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await ioOf(directory, open(directory, constants.O_RDONLY));
  try {
    await ioOf(directory, handle.sync());
  } finally {
    await handle.close();
  }
}

/** Waits for a system call and names what it was for. */
export async function ioOf<Result>(path: string, call: Promise<Result>): Promise<Result> {
  try {
    return await call;
  } catch (cause) {
    throw new CodedError("ERR_TARGET_IO", `${path} cannot be written: ${systemCode(cause)}`, { cause });
  }
}

async function writeAll(handle: FileHandle, piece: Uint8Array, path: string): Promise<void> {
  for (let done = 0; done < piece.length; ) {
    done += (await ioOf(path, handle.write(piece, done, piece.length - done))).bytesWritten;
  }
}
