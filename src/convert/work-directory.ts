import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "../base/errors.ts";

/** A folder of one conversion's files, removed with everything in it when the conversion ends in any way. */
export interface WorkDirectory extends AsyncDisposable {
  readonly path: string;
}

/**
 * Makes a folder of a new name inside `parent`, which must exist.
 *
 * @throws {CodedError} ERR_TARGET_IO.
 */
export async function createWorkDirectory(parent: string): Promise<WorkDirectory> {
  try {
    const path = await mkdtemp(join(parent, "nydus-convert-"));
    return {
      path,
      async [Symbol.asyncDispose]() {
        await rm(path, { recursive: true, force: true });
      },
    };
  } catch (cause) {
    throw new CodedError("ERR_TARGET_IO", `cannot make a work directory in ${parent}`, { cause });
  }
}
