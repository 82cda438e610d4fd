import type { ByteString } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { quotePath } from "../image/layer-path.ts";
import { MAX_XATTR_NAME_SIZE, MAX_XATTR_VALUE_SIZE, MAX_XATTRS } from "./tar-limits.ts";

/** Prefixes (with their dot) and names that a RAFS image can hold. */
const KEPT_PREFIXES = ["user.", "trusted.", "security."];
const KEPT_NAMES = ["system.posix_acl_access", "system.posix_acl_default"];

/** Most inodes have none: one map for all of them. */
const NO_XATTRS: ReadonlyMap<ByteString, Uint8Array> = new Map();

/** Something of an entry that the image cannot hold and that is left out. */
export interface LayerWarning {
  readonly kind: "xattr-dropped" | "acl-dropped";
  readonly path: ByteString;
  /** Name of the extended attribute or of the pax record. */
  readonly name: ByteString;
}

/**
 * Checks the extended attributes of an entry and keeps those an image can hold.
 *
 * @throws {CodedError} ERR_LIMIT_EXCEEDED for too many or too large ones, ERR_LAYER_INVALID for a name
 *   that Linux cannot have.
 */
export function keepXattrs(
  path: ByteString,
  xattrs: Iterable<readonly [ByteString, Uint8Array]>,
  warn: (warning: LayerWarning) => void,
): ReadonlyMap<ByteString, Uint8Array> {
  let kept: Map<ByteString, Uint8Array> | undefined;
  for (const [name, value] of xattrs) {
    if (!KEPT_NAMES.includes(name) && !KEPT_PREFIXES.some((prefix) => name.startsWith(prefix))) {
      warn({ kind: "xattr-dropped", path, name });
      continue;
    }
    if (name.includes("\0") || KEPT_PREFIXES.includes(name)) {
      throw new CodedError(
        "ERR_LAYER_INVALID",
        `xattr ${JSON.stringify(name)} of ${quotePath(path)} has no valid name`,
      );
    }
    if (name.length > MAX_XATTR_NAME_SIZE || value.length > MAX_XATTR_VALUE_SIZE) {
      throw new CodedError(
        "ERR_LIMIT_EXCEEDED",
        `xattr of ${quotePath(path)} has a name of ${name.length} and a value of ${value.length} bytes, ` +
          `at most ${MAX_XATTR_NAME_SIZE} and ${MAX_XATTR_VALUE_SIZE} are possible`,
      );
    }
    kept ??= new Map();
    kept.set(name, new Uint8Array(value));
    if (kept.size > MAX_XATTRS) {
      throw new CodedError("ERR_LIMIT_EXCEEDED", `${quotePath(path)} has more than ${MAX_XATTRS} xattrs`);
    }
  }
  return kept ?? NO_XATTRS;
}
