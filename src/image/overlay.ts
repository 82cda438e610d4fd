import type { LayerEntry } from "./layer-entry.ts";
import type { Directory } from "./tree.ts";
import { TreeBuilder } from "./tree-builder.ts";
import { parseWhiteout } from "./whiteout.ts";

/**
 * The tree that layers give when they are laid over each other, lowest first, as OCI defines it.
 *
 * Whiteouts act on lower layers only, wherever they stand in their own; they vanish, also in the lowest.
 * A parent that no entry describes keeps what a lower layer says of it.
 *
 * @see OCI image-spec layer.md, "Applying Changesets"
 */
export class LayeredTree {
  readonly #tree = new TreeBuilder();

  /**
   * Lays one layer over those before. After an error the tree is of no further use.
   *
   * @param entries In the order of the layer. Walked once.
   * @throws {CodedError} ERR_LAYER_INVALID as {@link TreeBuilder.put}, or for a whiteout of nothing.
   */
  applyLayer(entries: Iterable<LayerEntry>): void {
    const kept: LayerEntry[] = [];
    this.#tree.startLayer();
    for (const entry of entries) {
      const whiteout = parseWhiteout(entry.path);
      if (whiteout === undefined) kept.push(entry);
      else if (whiteout.kind === "remove") this.#tree.remove(whiteout.path);
      else if (whiteout.kind === "opaque") this.#tree.clear(whiteout.path);
    }
    // Only now, so that no whiteout can touch what its own layer brings.
    for (const entry of kept) this.#tree.put(entry);
  }

  /** The merged tree so far; later layers do not change it. */
  build(): Directory {
    return this.#tree.build();
  }
}

/**
 * The tree of one layer alone, as `nydus-image create --whiteout-spec none` records it: whiteouts are
 * empty files, and hard links to something that is not earlier in this layer are left out (a lower layer
 * has it, or nothing has; merging all layers tells).
 *
 * @throws {CodedError} ERR_LAYER_INVALID as {@link LayeredTree.applyLayer}, but for such links.
 */
export function buildLayerTree(entries: Iterable<LayerEntry>): Directory {
  const tree = new TreeBuilder();
  for (const entry of entries) {
    const whiteout = parseWhiteout(entry.path);
    if (whiteout?.kind === "leftover") continue;
    if (whiteout !== undefined) tree.put({ ...entry, type: "file", size: 0, chunks: [] });
    else if (entry.type !== "hardlink" || tree.canLink(entry.linkTarget)) tree.put(entry);
  }
  return tree.build();
}
