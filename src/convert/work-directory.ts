import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "../base/errors.ts";
import { removeAbandoned, temporaryName } from "../store/temporary-name.ts";

/** A folder of one conversion's files, removed with everything in it when the conversion ends in any way. */
export interface WorkDirectory extends AsyncDisposable {
  readonly path: string;
}

const PREFIX = "nydus-convert-";

/**
 * Makes a folder of a new name inside `parent`, which must exist. Folders there whose conversion was killed are
 * removed.
 *
 * @throws {CodedError} ERR_TARGET_IO.
 */
export async function createWorkDirectory(parent: string): Promise<WorkDirectory> {
  await removeAbandoned(parent, PREFIX);
  const path = join(parent, temporaryName(PREFIX));
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (cause) {
    throw new CodedError("ERR_TARGET_IO", `cannot make a work directory in ${parent}`, { cause });
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true });
    },
  };
}
