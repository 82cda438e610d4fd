import type { Command } from "commander";
import { type ConvertEvent, type ConvertReport, type ConvertRequest, runConvert } from "../../app/convert.ts";
import { CodedError } from "../../base/errors.ts";
import { formatSize } from "../../base/options.ts";
import { type AccessFlags, accessOf, addAccessOptions, loginOf } from "../image-access-options.ts";
import { printable } from "../lines.ts";
import type { Output } from "../output.ts";
import {
  type CommonOptions,
  finishCommand,
  integerArgument,
  repeatedArgument,
  sizeArgument,
} from "../program.ts";
import { ConvertProgress } from "./convert-progress.ts";

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
    const report = await runShown(output, signal, {
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
        reportFile: flags.report === "-" ? undefined : flags.report,
        login,
      }),
      access: accessOf(flags),
    });
    summarize(output, report);
    output.result(flags.report === "-" ? JSON.stringify(report, undefined, 2) : report.digest);
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

/** Converts while its progress is shown; it is erased before anything else is said. */
async function runShown(
  output: Output,
  signal: AbortSignal,
  request: ConvertRequest,
): Promise<ConvertReport> {
  const progress = new ConvertProgress();
  using _shown = await output.show(progress);
  const onEvent = (event: ConvertEvent): void => {
    progress.follow(event);
    tell(output, event);
  };
  return await runConvert(request, { signal, onEvent });
}

/** Events that come too often for a line each: progress shows them. */
const OFTEN: readonly ConvertEvent["type"][] = ["layer-progress", "blob-progress"];
const WARNINGS: readonly ConvertEvent["type"][] = ["left-out", "prefetch-unmatched", "platform-skipped"];

function tell(output: Output, event: ConvertEvent): void {
  if (OFTEN.includes(event.type)) return;
  const { type, ...fields } = event;
  output.record(type, fields);
  const line = lineOf(event);
  if (line === undefined) return;
  // Names in it come from the image.
  if (WARNINGS.includes(type)) output.notice(`warning: ${printable(line)}`);
  else output.detail(printable(line));
}

/** An event as a line that stays. */
function lineOf(event: ConvertEvent): string | undefined {
  switch (event.type) {
    case "image-started":
      return `${event.platform}: ${event.layers} layers, ${formatSize(event.size)}`;
    case "layer-converted":
      return `layer ${event.layer}: ${formatSize(event.sourceSize)} became ${formatSize(event.size)} in ${event.chunks} chunks`;
    case "left-out":
      return `layer ${event.layer}: ${event.path}: ${event.what}`;
    case "prefetch-unmatched":
      return `prefetch path ${event.path} is not in the image`;
    case "platform-skipped":
      return `${event.platform} is left out: it cannot be converted`;
    case "verified":
      return `verified ${event.blobs} blobs and ${event.paths} paths`;
    case "blob-published":
      return `${event.digest}: ${event.isPresent ? "already there" : "written"}, ${formatSize(event.size)}`;
    default:
      return undefined;
  }
}

function summarize(output: Output, report: ConvertReport): void {
  const seconds = (nanoseconds: number): string => `${(nanoseconds / 1e9).toFixed(1)} s`;
  output.summary(
    `${formatSize(report.SourceImageSize)} became ${formatSize(report.TargetImageSize)}: converted in ` +
      `${seconds(report.ConversionElapsed)}, published in ${seconds(report.TargetPushElapsed)}`,
  );
}
