import type { Command } from "commander";
import { type CheckFinding, type CheckSummary, checkImage } from "../../app/check-image.ts";
import { withLocatedImage } from "../../app/image-request.ts";
import { formatSize } from "../../base/options.ts";
import { addImageOptions, IMAGE_DESCRIPTION, type ImageFlags, imageRequestOf } from "../image-options.ts";
import { printable } from "../lines.ts";
import type { Output } from "../output.ts";
import { finishCommand } from "../program.ts";

interface CheckFlags extends ImageFlags {
  readonly source?: string;
  readonly metadataOnly?: boolean;
}

/** Adds `nydus-convert check`. */
export function addCheckCommand(program: Command): void {
  const command = program
    .command("check")
    .summary("verify a Nydus image")
    .description(
      "Verifies everything of a Nydus image: manifest, bootstrap, chunk tables, the digests of every chunk and every blob.",
    )
    .argument("[image]", IMAGE_DESCRIPTION)
    .option("--source <image>", "compare names, attributes and contents with this ordinary image")
    .option("--metadata-only", "leave out the contents: read manifest, bootstrap and chunk tables only");
  addImageOptions(command);
  finishCommand<CheckFlags>(command, HELP, async ({ signal, output }, operands, flags) => {
    const { request } = imageRequestOf(operands, flags);
    const summary = await withLocatedImage(request, signal, async ({ located, platform, openSource }) => {
      await using original = flags.source === undefined ? undefined : openSource(flags.source);
      return await checkImage(located, {
        signal,
        platform,
        metadataOnly: flags.metadataOnly === true,
        ...(original !== undefined && { original }),
        onFinding: (finding) => show(output, finding),
        onProgress: (what) => output.progress(`checking ${what}`),
      });
    });
    summarize(output, summary);
    return summary.exit;
  });
}

const HELP = {
  examples: [
    ["nydus-convert check registry.example/debian:12-nydus", "Everything that can be read:"],
    [
      "nydus-convert check registry.example/debian:12-nydus --source docker.io/library/debian:12",
      "That it is the same tree as the image it was made from:",
    ],
  ],
  exitStatus: [
    [4, "something is wrong with the image"],
    [5, "the image, or nothing but some of its blobs, was not found or unreachable"],
  ],
} as const;

function show(output: Output, finding: CheckFinding): void {
  const { code, severity, where, message } = finding;
  output.result(printable(`${severity}: ${where}: ${message} [${code}]`));
  output.record("finding", finding);
}

function summarize(output: Output, summary: CheckSummary): void {
  const { errors, warnings, names, blobs, verifiedChunks, unverifiedChunks, storedBytes } = summary;
  const unverified = unverifiedChunks === 0 ? "" : `, ${unverifiedChunks} without a digest`;
  output.result(
    `${names} names, ${blobs} blobs of ${formatSize(storedBytes)}, ${verifiedChunks} chunks verified${unverified}: ` +
      `${errors} errors, ${warnings} warnings`,
  );
  output.record("result", summary);
}
