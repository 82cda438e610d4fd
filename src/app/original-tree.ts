import { toHex } from "../base/bytes.ts";
import { createSha256 } from "../codec/digest.ts";
import { planImage } from "../convert/image-plan.ts";
import type { LayerItem } from "../convert/layer-reader.ts";
import { selectManifests } from "../convert/select-manifests.ts";
import type { Platform } from "../format/oci/descriptor.ts";
import type { ImageConfig } from "../format/oci/image-config.ts";
import type { LayerEntry } from "../image/layer-entry.ts";
import { LayeredTree } from "../image/overlay.ts";
import { type Directory, listTree, type RegularFile } from "../image/tree.ts";
import { type LsRow, treeRows } from "../image/tree-rows.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import type { ImageSource } from "../store/image-source.ts";

/** What an ordinary image means. */
export interface OriginalImage {
  /** Every name, with the digest of every file. */
  readonly rows: readonly LsRow[];
  readonly config: ImageConfig;
}

/**
 * The tree of an ordinary image, from its layers. Their digests and diff ids are verified.
 *
 * @throws {CodedError} as {@link selectManifests}; ERR_LAYER_INVALID, ERR_DIGEST_MISMATCH and what the
 *   source throws.
 */
export async function readOriginal(
  source: ImageSource,
  platform: Platform,
  options: ReadOptions,
): Promise<OriginalImage> {
  const choice = { wanted: [platform], isExplicit: false };
  const { manifests } = await selectManifests(source, choice, options);
  const [manifest] = manifests;
  if (manifest === undefined) throw new TypeError("no manifest was selected");
  const plan = await planImage(source, manifest, choice, options.signal);
  const tree = new LayeredTree();
  const watch = { onRead: () => {}, onWait: () => {}, onWarning: () => {} };
  for (const layer of plan.layers) {
    await using open = layer.input(watch).open(options.signal);
    const entries = await digestEntries(open.items);
    await open.finish();
    tree.applyLayer(entries);
  }
  return { rows: rowsOf(tree.build()), config: plan.config };
}

/** The entries, every file with one chunk whose digest is the sha256 over its whole content. */
async function digestEntries(items: AsyncIterable<LayerItem>): Promise<LayerEntry[]> {
  const entries: LayerEntry[] = [];
  for await (const { entry, content } of items) {
    if (entry.type !== "file") {
      entries.push(entry);
      continue;
    }
    const sha256 = createSha256();
    for await (const piece of content ?? []) sha256.update(piece);
    const chunk = {
      blobIndex: 0,
      index: 0,
      digest: sha256.digest(),
      decodedOffset: 0,
      decodedSize: entry.size,
      storedOffset: undefined,
      storedSize: undefined,
      crc32c: undefined,
    };
    entries.push({ ...entry, chunks: [chunk] });
  }
  return entries;
}

function rowsOf(root: Directory): LsRow[] {
  const names = listTree(root);
  const digests = new Map<RegularFile, string>();
  for (const { inode } of names) {
    const digest = inode.type === "file" ? inode.chunks[0]?.digest : undefined;
    if (inode.type === "file" && digest !== undefined) digests.set(inode, toHex(digest));
  }
  return treeRows(names, { digests });
}
