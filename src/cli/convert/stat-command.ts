import type { Command } from "commander";
import { withNydusImage } from "../../app/image-request.ts";
import { type ImageStat, statImage } from "../../app/stat-image.ts";
import { formatSize } from "../../base/options.ts";
import { addImageOptions, IMAGE_DESCRIPTION, type ImageFlags, imageRequestOf } from "../image-options.ts";
import { printable, writeLines } from "../lines.ts";
import { finishCommand } from "../program.ts";

/** Adds `nydus-convert stat`. */
export function addStatCommand(program: Command): void {
  const command = program
    .command("stat")
    .summary("count what a Nydus image is made of")
    .description("Counts names, chunks and blobs of a Nydus image, and what is shared. No blob is read.")
    .argument("[image]", IMAGE_DESCRIPTION);
  addImageOptions(command);
  finishCommand<ImageFlags>(command, HELP, async ({ signal, output }, operands, flags) => {
    const { request } = imageRequestOf(operands, flags);
    const stat = await withNydusImage(request, { signal, allowUnsupported: true }, async (image) =>
      statImage(image),
    );
    if (output.json) output.record("result", stat);
    else await writeLines(linesOf(stat).map(printable));
  });
}

const HELP = {
  examples: [
    ["nydus-convert stat registry.example/debian:12-nydus", "How large an image is:"],
    ["nydus-convert stat oci:debian:12-nydus --json", "The same for scripts:"],
  ],
} as const;

function linesOf(stat: ImageStat): string[] {
  const { inodes, blobs } = stat;
  const types = Object.entries(inodes).map(([type, count]) => `${count} ${type}`);
  const shared = stat.fileSize - stat.chunkDecodedSize;
  return [
    `image      ${stat.name} (RAFS v${stat.fsVersion})`,
    `names      ${stat.names}: ${types.join(", ")}`,
    `content    ${formatSize(stat.fileSize)} in files, ${formatSize(stat.chunkDecodedSize)} in chunks, ${formatSize(shared)} shared`,
    `chunks     ${stat.chunks} used ${stat.chunkReferences} times, ${formatSize(stat.chunkStoredSize)} stored`,
    `bootstrap  ${formatSize(stat.bootstrapSize)}`,
    ...(stat.layersSize === undefined ? [] : [`layers     ${formatSize(stat.layersSize)}`]),
    ...blobs.map(
      (blob) =>
        `blob       ${blob.id} ${blob.usedChunks} of ${blob.chunks} chunks used, ` +
        `${formatSize(blob.usedStoredSize)} of ${formatSize(blob.storedSize)} stored`,
    ),
  ];
}
