import type { Command } from "commander";
import { type ConvertEvent, type ConvertReport, runConvert } from "../../app/convert.ts";
import { CodedError } from "../../base/errors.ts";
import { formatSize } from "../../base/options.ts";
import { type AccessFlags, accessOf, addAccessOptions, loginOf } from "../image-access-options.ts";
import type { Output } from "../output.ts";
import {
  type CommonOptions,
  finishCommand,
  integerArgument,
  repeatedArgument,
  sizeArgument,
} from "../program.ts";

interface ConvertFlags extends AccessFlags {
  readonly platform?: readonly string[];
  readonly allPlatforms?: boolean;
  readonly mergePlatform?: boolean;
  readonly compressor?: string;
  readonly compressionLevel?: number;
  readonly digester?: string;
  readonly chunkSize?: number;
  readonly prefetch?: readonly string[];
  readonly prefetchFile?: string;
  readonly report?: string;
  readonly verify: boolean;
  readonly workDir?: string;
  readonly jobs?: number;
}

/** Makes `nydus-convert SOURCE TARGET` of the program itself. */
export function addConvertCommand(program: Command): void {
  program
    .argument(
      "<source>",
      "IMAGE to convert: HOST/REPO[:TAG|@DIGEST], oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF] or dir:PATH",
    )
    .argument("<target>", "IMAGE to write: HOST/REPO[:TAG], oci:DIR[:TAG] or oci-archive:FILE[:TAG]")
    .option(
      "--platform <os/arch[/variant]>",
      "convert this platform (repeatable; default: this machine's)",
      repeatedArgument,
    )
    .option("--all-platforms", "convert every platform of the image")
    .option(
      "--merge-platform",
      "write an index of both the original images, as they are, and the Nydus images",
    )
    .option("--compressor <name>", "zstd, lz4_block or none (default: zstd)")
    .option(
      "--compression-level <number>",
      "level of zstd, 1 to 22 (default: 3)",
      integerArgument("compression level"),
    )
    .option("--digester <name>", "blake3 or sha256 (default: blake3)")
    .option(
      "--chunk-size <size>",
      "bytes of a chunk, a power of two, 4KiB to 16MiB (default: 1MiB)",
      sizeArgument("chunk size"),
    )
    .option(
      "--prefetch <path>",
      "fetch this path early after a mount; / is everything (repeatable)",
      repeatedArgument,
    )
    .option("--prefetch-file <file>", "the same for every line of a file; - is standard input")
    .option("--report <file>", "write a report as JSON; - is standard output")
    .option("--no-verify", "do not read the written image back and compare it with its source")
    .option("--work-dir <dir>", "folder for temporary files, as large as the image (default: the system's)")
    .option(
      "--jobs <number>",
      "threads, and layers and blobs at once (default: the processors, at most 8)",
      integerArgument("jobs"),
    );
  addAccessOptions(program);
  finishCommand<ConvertFlags>(program, HELP, async ({ signal, output }, operands, flags) => {
    const [source = "", target = ""] = operands;
    checkStandardStreams(flags);
    const login = loginOf(flags);
    const report = await runConvert(
      {
        source,
        target,
        platforms: flags.platform ?? [],
        allPlatforms: flags.allPlatforms === true,
        mergePlatform: flags.mergePlatform === true,
        options: {
          ...defined({
            compressor: flags.compressor,
            compressionLevel: flags.compressionLevel,
            digester: flags.digester,
            chunkSize: flags.chunkSize,
            jobs: flags.jobs,
          }),
          verify: flags.verify,
        },
        prefetch: flags.prefetch ?? [],
        ...defined({
          prefetchFile: flags.prefetchFile,
          workDirectory: flags.workDir,
          reportFile: flags.report,
          login,
        }),
        access: accessOf(flags),
      },
      { signal, onEvent: (event) => show(output, event) },
    );
    summarize(output, report);
    if (flags.report !== "-") output.result(report.digest);
    output.record("result", report);
  });
}

const HELP = {
  examples: [
    [
      "nydus-convert docker.io/library/debian:12 registry.example/debian:12-nydus",
      "From one registry to another:",
    ],
    [
      "nydus-convert oci:debian:12 oci:debian:12-nydus --compressor lz4_block",
      "Within an OCI layout, for fast reads:",
    ],
    [
      "nydus-convert registry.example/app:1 registry.example/app:1 --merge-platform --all-platforms",
      "One tag for runtimes with and without Nydus:",
    ],
    [
      "nydus-convert dir:rootfs oci-archive:rootfs.tar --prefetch /usr/bin",
      "A directory, with what to fetch first:",
    ],
  ],
} as const;

function checkStandardStreams({
  passwordStdin,
  prefetchFile,
  report,
  json,
}: ConvertFlags & CommonOptions): void {
  if (passwordStdin === true && prefetchFile === "-") {
    throw new CodedError("ERR_OPTION_INVALID", "password and prefetch file cannot both be standard input");
  }
  if (json === true && report === "-") {
    throw new CodedError("ERR_OPTION_INVALID", "--json has the report in its last line already");
  }
}

/** The fields that are not undefined. */
function defined<Fields extends object>(
  fields: Fields,
): { [Name in keyof Fields]?: NonNullable<Fields[Name]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Fields]?: NonNullable<Fields[Name]>;
  };
}

function show(output: Output, event: ConvertEvent): void {
  // A line for every piece read would drown the rest.
  if (event.type !== "layer-progress") output.record(event.type, withoutType(event));
  const line = lineOf(event);
  const isWarning = ["left-out", "prefetch-unmatched", "platform-skipped"].includes(event.type);
  if (isWarning) output.notice(line);
  else if (event.type !== "layer-progress" || !process.stderr.isTTY) output.progress(line);
}

function withoutType({ type: _type, ...fields }: ConvertEvent): object {
  return fields;
}

function lineOf(event: ConvertEvent): string {
  switch (event.type) {
    case "image-started":
      return `${event.platform}: ${event.layers} layers, ${formatSize(event.size)}`;
    case "layer-started":
      return `layer ${event.layer}: reading ${formatSize(event.size)}`;
    case "layer-progress":
      return `layer ${event.layer}: ${formatSize(event.done)} of ${formatSize(event.size)} read`;
    case "layer-converted":
      return `layer ${event.layer}: ${formatSize(event.sourceSize)} became ${formatSize(event.size)} in ${event.chunks} chunks`;
    case "left-out":
      return `warning: layer ${event.layer}: ${event.path}: ${event.what}`;
    case "prefetch-unmatched":
      return `warning: prefetch path ${event.path} is not in the image`;
    case "platform-skipped":
      return `warning: ${event.platform} is left out: it cannot be converted`;
    case "verified":
      return `verified ${event.blobs} blobs and ${event.paths} paths`;
    case "blob-published":
      return `${event.digest}: ${event.isPresent ? "already there" : "written"}, ${formatSize(event.size)}`;
  }
}

function summarize(output: Output, report: ConvertReport): void {
  const seconds = (nanoseconds: number): string => `${(nanoseconds / 1e9).toFixed(1)} s`;
  output.progress(
    `${formatSize(report.SourceImageSize)} became ${formatSize(report.TargetImageSize)}: converted in ` +
      `${seconds(report.ConversionElapsed)}, published in ${seconds(report.TargetPushElapsed)}`,
  );
}
