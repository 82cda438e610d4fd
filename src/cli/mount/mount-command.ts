import { appendFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { BLOB_PLACE_FORMS, parseBlobPlace } from "../../app/blob-places.ts";
import { type ImageRequest, withNydusImage } from "../../app/image-request.ts";
import { ENGINES, MAX_WORKERS, type MountStats, serveImage } from "../../app/mount-image.ts";
import { readPathList } from "../../app/path-list.ts";
import { PREFETCH_CHOICES, type PrefetchOptions } from "../../app/prefetch.ts";
import { unmountImage } from "../../app/unmount-image.ts";
import { CodedError } from "../../base/errors.ts";
import { choiceOption, integerOption } from "../../base/options.ts";
import { failureOf } from "../exit.ts";
import { addImageOptions, IMAGE_DESCRIPTION, type ImageFlags, imageRequestOf } from "../image-options.ts";
import type { Output } from "../output.ts";
import type { EnvironmentCommand } from "../program.ts";
import {
  type CommandRun,
  finishCommand,
  integerArgument,
  repeatedArgument,
  sizeArgument,
} from "../program.ts";
import { startDetached, tellMounted } from "./detach.ts";

interface MountFlags extends ImageFlags {
  readonly engine?: string;
  readonly cacheDir?: string;
  readonly prefetch?: string;
  readonly prefetchFile?: string;
  readonly prefetchRate?: number;
  readonly blobSource?: readonly string[];
  readonly trace?: string;
  readonly workers?: number;
  readonly detach?: boolean;
  readonly logFile?: string;
  readonly stats?: string;
  readonly unmount?: string;
}

/** Makes `nydus-mount IMAGE MOUNTPOINT` of the program itself. */
export function addMountCommand(program: EnvironmentCommand): void {
  program
    .argument("[image]", IMAGE_DESCRIPTION)
    .argument("[mountpoint]", "an existing directory")
    .option("--engine <name>", `${ENGINES.join(", ")} (default: auto)`)
    .option(
      "--cache-dir <dir>",
      "folder of the cache (default: /var/cache/nydus-toolkit for root, ~/.cache/nydus-toolkit for others)",
    )
    .option("--prefetch <what>", `fetch in the background: ${PREFETCH_CHOICES.join(", ")} (default: none)`)
    .option(
      "--prefetch-file <file>",
      "fetch the files and directories that it names first, one a line, or those of a trace; - is standard input",
    )
    .option(
      "--prefetch-rate <size>",
      "stored bytes a second that a prefetch may take, such as 10MiB (default: unlimited)",
      sizeArgument("prefetch-rate"),
    )
    .option(
      "--blob-source <place>",
      `ask this place for blobs before the image's own: ${BLOB_PLACE_FORMS} (repeatable)`,
      repeatedArgument,
    )
    .option(
      "--trace <file>",
      "when the mount ends, write what was read of which file, in order of first reads",
    )
    .option("--workers <number>", "threads that answer reads (default: 2)", integerArgument("workers"))
    .option("--detach", "return once the image is mounted")
    .option(
      "--log-file <file>",
      "where a detached mount reports (default: nydus-mount.log in the cache folder)",
    )
    .option("--stats <file>", "append a JSON line when the mount ends; - is standard output")
    .option("--unmount <mountpoint>", "unmount, and do nothing else");
  addImageOptions(program);
  finishCommand<MountFlags>(program, HELP, run);
}

const HELP = {
  examples: [
    ["nydus-mount registry.example/debian:12-nydus /mnt", "Until ^C:"],
    [
      "nydus-mount oci:images:debian /mnt --detach --prefetch all",
      "In the background, and fetch all of it meanwhile:",
    ],
    ["nydus-mount --unmount /mnt", "End it:"],
  ],
  exitStatus: [
    [0, "unmounted, also by SIGINT or SIGTERM; with --detach: mounted"],
    [130, "interrupted before the image was mounted"],
  ],
} as const;

async function run(
  { signal, output }: CommandRun,
  operands: readonly string[],
  flags: MountFlags,
): Promise<number> {
  if (flags.unmount !== undefined) {
    if (operands.length > 0)
      throw new CodedError("ERR_OPTION_INVALID", "--unmount goes without IMAGE and MOUNTPOINT");
    await unmountImage(flags.unmount);
    return 0;
  }
  const engine = choiceOption("engine", flags.engine ?? "auto", ENGINES);
  const prefetch = prefetchOf(flags);
  const blobPlaces = (flags.blobSource ?? []).map(parseBlobPlace);
  const workers = integerOption("workers", flags.workers ?? 2, 1, MAX_WORKERS);
  const cacheDirectory = flags.cacheDir ?? defaultCacheDirectory();
  if (flags.detach === true) {
    const { status, line } = await startDetached(flags.logFile ?? join(cacheDirectory, "nydus-mount.log"));
    if (status === 0) output.notice(line);
    else process.stderr.write(line);
    return status;
  }

  const { request: asked, rest } = imageRequestOf(operands, flags, 1);
  const request: ImageRequest = { ...asked, blobPlaces, access: { ...asked.access, patience: "reader" } };
  const [mountpoint] = rest;
  if (mountpoint === undefined) {
    const wanted = flags.bootstrap === undefined ? "IMAGE and MOUNTPOINT" : "MOUNTPOINT";
    throw new CodedError("ERR_OPTION_INVALID", `wanted ${wanted}, got ${operands.length} arguments`);
  }
  const stats = await withNydusImage(request, { signal }, (opened) =>
    serveImage(
      opened,
      {
        mountpoint,
        cacheDirectory,
        engine,
        prefetch,
        workers,
        ...(flags.trace !== undefined && { traceFile: flags.trace }),
      },
      {
        signal,
        onMounted({ engine: chosen, reason }) {
          const line = `mounted ${opened.name} at ${mountpoint}, engine ${chosen}: ${reason}`;
          tellMounted(line);
          output.notice(line);
          output.record("mounted", { image: opened.name, mountpoint, engine: chosen, reason });
        },
        onError: (error) => report(output, error),
      },
    ),
  );
  output.record("unmounted", stats);
  if (flags.stats !== undefined) writeStats(flags.stats, stats);
  return 0;
}

function prefetchOf({ prefetch, prefetchFile, prefetchRate }: MountFlags): PrefetchOptions {
  return {
    choice: choiceOption("prefetch", prefetch ?? "none", PREFETCH_CHOICES),
    ...(prefetchFile !== undefined && { paths: readPathList(prefetchFile, "prefetch file") }),
    ...(prefetchRate !== undefined && {
      rate: integerOption("prefetch-rate", prefetchRate, 1, Number.MAX_SAFE_INTEGER),
    }),
  };
}

/** A failed read: the mount lives on, so this is no failure of the command. */
function report(output: Output, error: unknown): void {
  const { code, message } = failureOf(error);
  output.record("read-failed", { code, message });
  output.notice(`read failed: ${message} [${code}]`);
}

function writeStats(path: string, stats: MountStats): void {
  const line = `${JSON.stringify(stats)}\n`;
  if (path === "-") {
    process.stdout.write(line);
    return;
  }
  try {
    appendFileSync(path, line);
  } catch (cause) {
    throw new CodedError("ERR_TARGET_IO", `stats ${path} cannot be written`, { cause });
  }
}

function defaultCacheDirectory(): string {
  if (process.getuid?.() === 0) return "/var/cache/nydus-toolkit";
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "nydus-toolkit");
}
