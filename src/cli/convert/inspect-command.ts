import type { Command } from "commander";
import { withNydusImage } from "../../app/image-request.ts";
import { type InspectedBlob, type InspectedImage, inspectImage } from "../../app/inspect-image.ts";
import { addImageOptions, IMAGE_DESCRIPTION, type ImageFlags, imageRequestOf } from "../image-options.ts";
import { printable, writeLines } from "../lines.ts";
import { finishCommand } from "../program.ts";

/** Adds `nydus-convert inspect`. */
export function addInspectCommand(program: Command): void {
  const command = program
    .command("inspect")
    .summary("show what lies where in a Nydus image")
    .description(
      "Shows super-block, features, tables, blobs and their sections of a Nydus image, with offsets and sizes in bytes.",
    )
    .argument("[image]", IMAGE_DESCRIPTION);
  addImageOptions(command);
  finishCommand<ImageFlags>(command, HELP, async ({ signal, output }, operands, flags) => {
    const { request } = imageRequestOf(operands, flags);
    const found = await withNydusImage(request, { signal, allowUnsupported: true }, (image) =>
      inspectImage(image, { signal }),
    );
    if (output.json) output.record("result", found);
    else await writeLines(linesOf(found).map(printable));
  });
}

const HELP = {
  examples: [
    ["nydus-convert inspect registry.example/debian:12-nydus", "What an image is made of:"],
    ["nydus-convert inspect --bootstrap image.boot --blob-dir blobs --json", "A bare image, for scripts:"],
  ],
} as const;

function linesOf(image: InspectedImage): string[] {
  return [
    `image ${image.name}`,
    `  RAFS v${image.fsVersion}, ${image.compressor}, ${image.digester}, chunks of ${image.chunkSize}, flags ${image.flags.join(" ")}`,
    ...(image.manifest === undefined ? [] : manifestLines(image.manifest)),
    "superblock",
    ...Object.entries(image.superblock).map(([name, value]) => `  ${name} ${value}`),
    `bootstrap ${image.bootstrapSize}`,
    ...image.sections.map(({ name, offset, size }) => `  ${range(offset, size)} ${name}`),
    ...image.blobs.flatMap(blobLines),
    `prefetch ${image.prefetch.length}`,
    ...image.prefetch.map((path) => `  ${path}`),
  ];
}

function manifestLines({ descriptor, layers }: NonNullable<InspectedImage["manifest"]>): string[] {
  return [
    `manifest ${descriptor.digest}`,
    ...layers.map(({ digest, size, mediaType }) => `  ${digest} ${size} ${mediaType}`),
  ];
}

function blobLines(blob: InspectedBlob, index: number): string[] {
  const { chunkInformation: location } = blob;
  return [
    `blob ${index} ${blob.id}`,
    `  ${blob.chunkCount} chunks, ${blob.compressor}, ${blob.digester}, features ${blob.features.join(" ")}`,
    `  ${blob.storedSize} stored, ${blob.decodedSize} decoded, file of ${blob.fileSize ?? "unknown size"}`,
    ...(location === undefined
      ? []
      : [
          `  chunk information ${range(location.offset, location.storedSize)}, decoded ${location.decodedSize}, ${location.compressor}`,
        ]),
    ...(blob.tocDigest === undefined
      ? []
      : [`  table of contents of ${blob.tocSize}, sha256 ${blob.tocDigest}`]),
    ...blob.sections.map(
      ({ name, offset, storedSize, decodedSize, compressor }) =>
        `  ${range(offset, storedSize)} ${name}, decoded ${decodedSize ?? "unknown"}, ${compressor}`,
    ),
    ...(blob.unreadable === undefined ? [] : [`  not readable: ${blob.unreadable}`]),
  ];
}

function range(offset: number, size: number): string {
  return `${offset}..${offset + size}`;
}
