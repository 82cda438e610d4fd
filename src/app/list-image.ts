import { byteStringOfText } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { cleanLayerPath } from "../image/layer-path.ts";
import { listTree, type TreeRow } from "../image/tree.ts";
import { type LsRow, treeRows } from "../image/tree-rows.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import { DecodedSource } from "../store/decoded-source.ts";
import { ChunkReader } from "./chunk-reader.ts";
import { fileDigests } from "./file-digests.ts";
import type { NydusImage } from "./nydus-image.ts";

export type { LsRow } from "../image/tree-rows.ts";

/** What of an image to list. */
export interface ListOptions extends ReadOptions {
  /** A path in the image, with or without a leading slash; its whole subtree is listed. @default the root */
  readonly path?: string;
  /** Read every file for its sha256. @default false */
  readonly digest?: boolean;
}

/**
 * The names of an image, sorted by the bytes of their paths.
 *
 * @throws {CodedError} ERR_PATH_NOT_FOUND; with `digest` as {@link NydusImage.loadBlobs} and
 *   {@link ChunkReader.readFile}.
 */
export async function listImage(image: NydusImage, options: ListOptions): Promise<LsRow[]> {
  const { recordedLinks, root } = image.bootstrap;
  const names = listTree(root);
  const wanted = options.path === undefined ? names : namesUnder(names, options.path);
  const digests = options.digest === true ? await readDigests(image, wanted, options) : undefined;
  // Links are counted over the whole tree, so rows are made of all of it.
  const rows = treeRows(names, { recordedLinks, ...(digests !== undefined && { digests }) });
  if (wanted === names) return rows;
  const paths = new Set(wanted.map(({ path }) => path));
  return rows.filter(({ path }) => paths.has(path));
}

/** Reads files of an image straight from its blobs. */
export async function openChunkReader(image: NydusImage, options: ReadOptions): Promise<ChunkReader> {
  const blobs = await image.loadBlobs(options);
  return new ChunkReader({ source: new DecodedSource(image.source), blobs });
}

async function readDigests(
  image: NydusImage,
  names: readonly TreeRow[],
  options: ReadOptions,
): ReturnType<typeof fileDigests> {
  return fileDigests(names, await openChunkReader(image, options), options);
}

function namesUnder(names: readonly TreeRow[], text: string): readonly TreeRow[] {
  const path = cleanLayerPath(byteStringOfText(text));
  if (path === "") return names;
  const found = names.filter((row) => row.path === path || row.path.startsWith(`${path}/`));
  if (found.length === 0) throw new CodedError("ERR_PATH_NOT_FOUND", `image has no ${JSON.stringify(text)}`);
  return found;
}
