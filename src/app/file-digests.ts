import { toHex } from "../base/bytes.ts";
import { createSha256 } from "../codec/digest.ts";
import type { RegularFile, TreeRow } from "../image/tree.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import type { ChunkReader } from "./chunk-reader.ts";

/**
 * The sha256 of every file among the names, in hex digits; a file with several names is read once.
 *
 * @throws {CodedError} as {@link ChunkReader.readFile}.
 */
export async function fileDigests(
  names: readonly TreeRow[],
  reader: ChunkReader,
  options: ReadOptions,
): Promise<Map<RegularFile, string>> {
  const digests = new Map<RegularFile, string>();
  for (const { inode } of names) {
    if (inode.type !== "file" || digests.has(inode)) continue;
    const sha256 = createSha256();
    for await (const bytes of reader.readFile(inode, options)) sha256.update(bytes);
    digests.set(inode, toHex(sha256.digest()));
  }
  return digests;
}
