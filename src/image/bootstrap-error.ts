import { CodedError, type ErrorCode } from "../base/errors.ts";

/** An error about a bootstrap as a whole. */
export function bootstrapError(code: ErrorCode, what: string, cause?: unknown): CodedError {
  return new CodedError(code, `bootstrap: ${what}`, cause === undefined ? undefined : { cause });
}

/** ERR_BOOTSTRAP_CORRUPT for one inode. */
export function corruptInode(nid: number, what: string, cause?: unknown): CodedError {
  return bootstrapError("ERR_BOOTSTRAP_CORRUPT", `inode ${nid}: ${what}`, cause);
}

/** What to throw when decoding an inode threw `error`: a RangeError is corrupt bytes, anything else stays as it is. */
export function inodeDecodeError(nid: number, error: unknown): unknown {
  return error instanceof RangeError ? corruptInode(nid, error.message, error) : error;
}
