import { type ByteString, byteString } from "../base/bytes.ts";
import { type Addon, addon, type SystemError } from "../native/addon.ts";

/** Reads the extended attributes of a path, names as bytes; symbolic links are not followed. */
export type XattrReader = (path: Uint8Array) => Iterable<readonly [ByteString, Uint8Array]>;

/** A reader of extended attributes, which Node.js has no call for; `undefined` where the addon is missing. */
export function xattrReader(): XattrReader | undefined {
  const native = addon();
  return native && ((path) => readXattrs(native, path));
}

function* readXattrs(native: Addon, path: Uint8Array): Generator<readonly [ByteString, Uint8Array]> {
  for (const name of xattrNames(native, path)) yield [byteString(name), native.lgetxattr(path, name)];
}

/** A filesystem that knows no extended attributes has none. */
function xattrNames(native: Addon, path: Uint8Array): readonly Uint8Array[] {
  try {
    return native.llistxattr(path);
  } catch (error) {
    if ((error as SystemError).code === "ENOTSUP") return [];
    throw error;
  }
}
