import type { LayerEntry } from "../image/layer-entry.ts";
import { ByteReader } from "./byte-reader.ts";
import { entryOfMember, isEstargzPath } from "./tar-entry.ts";
import { contentOf, readMembers } from "./tar-members.ts";
import { expandSparse } from "./tar-sparse.ts";
import type { LayerWarning } from "./xattrs.ts";

/** One entry of a layer with the bytes of its file. */
export interface LayerItem {
  readonly entry: LayerEntry;
  /**
   * Set for files. To be read before the next item is asked for, once or not at all; the pieces must not
   * be changed, and are good until the next piece or item is asked for.
   */
  readonly content: AsyncIterable<Uint8Array> | undefined;
}

export interface LayerReaderOptions {
  /** Told of everything that is left out. Nothing else is ever left out silently. */
  readonly onWarning?: (warning: LayerWarning) => void;
}

/**
 * Reads the entries of an uncompressed OCI layer, in order, as they stream in. Memory does not grow with
 * the layer: the source is read only as fast as items and contents are taken. It is read to its end.
 *
 * @param layer Uncompressed tar bytes. Its own errors come through unchanged. A piece is used until the second one
 *   after it is asked for.
 * @throws {CodedError} ERR_LAYER_INVALID, ERR_FEATURE_UNSUPPORTED, ERR_LIMIT_EXCEEDED (tar-limits.ts).
 */
export async function* readLayer(
  layer: AsyncIterable<Uint8Array>,
  options: LayerReaderOptions = {},
): AsyncGenerator<LayerItem, void, undefined> {
  const warn = options.onWarning ?? (() => {});
  const reader = new ByteReader(layer);
  try {
    for await (const member of readMembers(reader)) {
      const { sparse, storedSize } = member;
      const entry = entryOfMember(member, warn);
      if (isEstargzPath(entry.path)) continue;
      if (entry.type !== "file") {
        yield { entry, content: undefined };
        continue;
      }
      const stored = reader.pieces(storedSize, contentOf(member));
      yield { entry, content: sparse === undefined ? stored : expandSparse(sparse, stored) };
    }
  } finally {
    await reader.close();
  }
}
