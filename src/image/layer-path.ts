import { type ByteString, textOf } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";

const { nameLength, pathLength, targetLength } = BOOTSTRAP_LIMITS;

/**
 * The clean form of a path written in a layer: relative to the root, without empty components, `.` and
 * `..`; "" for the root. An absolute path counts from the root, as every unpacker reads it.
 *
 * @throws {CodedError} ERR_LAYER_INVALID when the path leaves the root, holds a NUL, or is longer than
 *   Linux can hold.
 */
export function cleanLayerPath(path: ByteString): ByteString {
  if (path.includes("\0")) throw invalid(path, "holds a NUL");
  const names: ByteString[] = [];
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      if (names.pop() === undefined) throw invalid(path, "leaves the root");
      continue;
    }
    if (name.length > nameLength) {
      throw invalid(path, `has a name of ${name.length} bytes, at most ${nameLength} are possible`);
    }
    names.push(name);
  }
  const clean = names.join("/");
  if (clean.length > pathLength) {
    throw invalid(path, `has ${clean.length} bytes, at most ${pathLength} are possible`);
  }
  return clean;
}

/**
 * Checks the target of a symlink.
 *
 * @param path The symlink, for the message.
 * @returns `target`, unchanged.
 * @throws {CodedError} ERR_LAYER_INVALID when it is empty, holds a NUL or is longer than Linux can hold.
 */
export function checkSymlinkTarget(path: ByteString, target: ByteString): ByteString {
  if (target === "") throw invalid(path, "is a symlink to nothing");
  if (target.includes("\0")) throw invalid(path, "is a symlink whose target holds a NUL");
  if (target.length > targetLength) {
    throw invalid(path, `is a symlink to ${target.length} bytes, at most ${targetLength} are possible`);
  }
  return target;
}

/** The path of the directory a clean path lies in; "" for names in the root. */
export function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** The last name of a clean path. */
export function nameOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** A clean path for messages: quoted, cut when it is long. */
export function quotePath(path: ByteString): string {
  return JSON.stringify(textOf(path.length > 300 ? `${path.slice(0, 300)}...` : path));
}

function invalid(path: ByteString, what: string): CodedError {
  return new CodedError("ERR_LAYER_INVALID", `layer path ${quotePath(path)} ${what}`);
}
