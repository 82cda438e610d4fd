import type { ByteString } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { nameOf, parentOf, quotePath } from "./layer-path.ts";

const PREFIX = ".wh.";
const META_PREFIX = ".wh..wh.";
const OPAQUE = ".wh..wh..opq";

/** What the name of a layer entry asks for. */
export type Whiteout =
  /** Whatever lower layers have at `path` goes. */
  | { readonly kind: "remove"; readonly path: ByteString }
  /** Whatever lower layers have inside `path` goes. */
  | { readonly kind: "opaque"; readonly path: ByteString }
  /** AUFS bookkeeping (`.wh..wh.plnk` and the like, or something inside): no part of the image. */
  | { readonly kind: "leftover" };

/**
 * The whiteout a clean path stands for; `undefined` for an ordinary name. Only the name counts, not the
 * type of the entry: AUFS wrote whiteouts as hard links to one file.
 *
 * @throws {CodedError} ERR_LAYER_INVALID when it would remove "", "." or "..".
 * @see OCI image-spec layer.md, "Whiteouts"
 */
export function parseWhiteout(path: ByteString): Whiteout | undefined {
  if (!path.includes(PREFIX)) return undefined;
  const parent = parentOf(path);
  const name = nameOf(path);
  if (`/${parent}`.includes(`/${META_PREFIX}`)) return { kind: "leftover" };
  if (!name.startsWith(PREFIX)) return undefined;
  if (name === OPAQUE) return { kind: "opaque", path: parent };
  if (name.startsWith(META_PREFIX)) return { kind: "leftover" };
  const removed = name.slice(PREFIX.length);
  if (removed === "" || removed === "." || removed === "..") {
    throw new CodedError(
      "ERR_LAYER_INVALID",
      `whiteout ${quotePath(path)} names nothing that can be removed`,
    );
  }
  return { kind: "remove", path: parent === "" ? removed : `${parent}/${removed}` };
}
