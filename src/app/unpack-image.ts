import { listTree } from "../image/tree.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import type { NydusImage } from "./nydus-image.ts";
import { unpackDirectory } from "./unpack-directory.ts";
import { type LossKind, UnpackLosses } from "./unpack-losses.ts";
import { unpackTar } from "./unpack-tar.ts";

/** Where to unpack: to a directory, or as a tar to whoever takes its pieces. */
export type UnpackTarget =
  | { readonly directory: string }
  | { readonly write: (pieces: AsyncIterable<Uint8Array>) => Promise<void> };

/** What was unpacked. */
export interface UnpackSummary {
  readonly names: number;
  /** Names that are not as the image has them, by what is missing. */
  readonly losses: Readonly<Partial<Record<LossKind, number>>>;
  /** The same in one line; absent when nothing is missing. */
  readonly lost: string | undefined;
}

/**
 * Writes the tree of an image.
 *
 * @throws {CodedError} as {@link unpackDirectory} and {@link unpackTar}.
 */
export async function unpackImage(
  image: NydusImage,
  target: UnpackTarget,
  options: ReadOptions,
): Promise<UnpackSummary> {
  const losses = new UnpackLosses();
  if ("directory" in target) await unpackDirectory(image, target.directory, losses, options);
  else await target.write(unpackTar(image, losses, options));
  return {
    names: listTree(image.bootstrap.root).length,
    losses: losses.counts,
    lost: losses.describe(),
  };
}
