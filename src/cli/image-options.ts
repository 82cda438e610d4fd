import type { Command } from "commander";
import type { ImageRequest } from "../app/image-request.ts";
import { CodedError } from "../base/errors.ts";
import { type AccessFlags, accessOf, addAccessOptions, loginOf } from "./image-access-options.ts";
import { repeatedArgument } from "./program.ts";

/** Options of every command that reads a Nydus image. */
export interface ImageFlags extends AccessFlags {
  readonly platform?: string;
  readonly bootstrap?: string;
  readonly blobDir?: readonly string[];
  readonly blobId?: string;
}

/** How the argument IMAGE of such a command is described. */
export const IMAGE_DESCRIPTION =
  "IMAGE: HOST/REPO[:TAG|@DIGEST], oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:REF]; left out with --bootstrap";

/** Adds the options that say which image of several is meant, or that it is a bare one. */
export function addImageOptions(command: Command): Command {
  command
    .option("--platform <os/arch[/variant]>", "the image for this platform (default: this machine's)")
    .option("--bootstrap <file>", "read a bare image: the file of its bootstrap, in the place of IMAGE")
    .option(
      "--blob-dir <dir>",
      "folder with blobs of that image, each named by its id (repeatable)",
      repeatedArgument,
    )
    .option("--blob-id <hex>", "id of the blob that the bootstrap was inlined in (default: its file name)");
  return addAccessOptions(command);
}

/**
 * The image that is meant.
 *
 * @param others How many operands may follow the image; all there may be with `--bootstrap`.
 * @returns The request and the operands that follow the image.
 * @throws {CodedError} ERR_OPTION_INVALID for an image beside `--bootstrap`, or as {@link loginOf}.
 */
export function imageRequestOf(
  operands: readonly string[],
  flags: ImageFlags,
  others = 0,
): { readonly request: ImageRequest; readonly rest: readonly string[] } {
  const { bootstrap, blobDir, blobId, platform } = flags;
  const [image] = operands;
  if (bootstrap !== undefined && operands.length > others) {
    throw new CodedError("ERR_OPTION_INVALID", `--bootstrap stands in the place of IMAGE, got ${image} too`);
  }
  const login = loginOf(flags);
  const request: ImageRequest = {
    ...(bootstrap === undefined && image !== undefined && { image }),
    ...(bootstrap !== undefined && { bootstrap }),
    ...(blobDir !== undefined && { blobDirs: blobDir }),
    ...(blobId !== undefined && { blobId }),
    ...(platform !== undefined && { platform }),
    ...(login !== undefined && { login }),
    access: accessOf(flags),
  };
  return { request, rest: bootstrap === undefined ? operands.slice(1) : operands };
}
