import type { Command } from "commander";
import { withNydusImage } from "../../app/image-request.ts";
import { unpackImage } from "../../app/unpack-image.ts";
import { CodedError } from "../../base/errors.ts";
import { addImageOptions, IMAGE_DESCRIPTION, type ImageFlags, imageRequestOf } from "../image-options.ts";

import { printable, writePieces } from "../lines.ts";
import { finishCommand } from "../program.ts";

/** Adds `nydus-convert unpack`. */
export function addUnpackCommand(program: Command): void {
  const command = program
    .command("unpack")
    .summary("write the files of a Nydus image to a directory or a tar")
    .description(
      "Writes the files of a Nydus image to a directory, which appears when all is written or not at all, or with - as a tar to standard output.",
    )
    .argument("[image]", IMAGE_DESCRIPTION)
    .argument("[dir]", "directory to make, or an empty one; - is a tar on standard output");
  addImageOptions(command);
  finishCommand<ImageFlags>(command, HELP, async ({ signal, output }, operands, flags) => {
    const { request, rest } = imageRequestOf(operands, flags, 1);
    const [target] = rest;
    if (target === undefined) throw new CodedError("ERR_OPTION_INVALID", "missing required argument 'dir'");
    const summary = await withNydusImage(request, { signal }, (image) =>
      unpackImage(image, target === "-" ? { write: writePieces } : { directory: target }, { signal }),
    );
    if (target !== "-") output.record("result", { names: summary.names, losses: summary.losses });
    if (summary.lost === undefined) return 0;
    // An exit status alone would leave the reader guessing.
    process.stderr.write(`nydus-convert: ${printable(summary.lost)}\n`);
    return 3;
  });
}

const HELP = {
  examples: [
    ["nydus-convert unpack registry.example/debian:12-nydus rootfs", "To a new directory:"],
    ["nydus-convert unpack oci:debian:12-nydus - | tar -x --xattrs -C rootfs", "As a tar:"],
  ],
  exitStatus: [[3, "all is written, but some attributes or special files could not be restored"]],
} as const;
