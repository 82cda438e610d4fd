import { appendFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { ENGINES, type MountStats, serveImage } from "../../app/mount-image.ts";
import type { BootstrapFile } from "../../app/open-nydus-image.ts";
import { PREFETCH_CHOICES } from "../../app/prefetch.ts";
import { withRequestedImage } from "../../app/requested-image.ts";
import { unmountImage } from "../../app/unmount-image.ts";
import { CodedError } from "../../base/errors.ts";
import { choiceOption, integerOption } from "../../base/options.ts";
import { failureOf } from "../exit.ts";
import { type AccessFlags, accessOf, addAccessOptions, loginOf } from "../image-access-options.ts";
import type { Output } from "../output.ts";
import type { EnvironmentCommand } from "../program.ts";
import { type CommandRun, finishCommand, integerArgument, repeatedArgument } from "../program.ts";
import { startDetached, tellMounted } from "./detach.ts";

interface MountFlags extends AccessFlags {
  readonly bootstrap?: string;
  readonly blobDir?: readonly string[];
  readonly blobId?: string;
  readonly platform?: string;
  readonly engine?: string;
  readonly cacheDir?: string;
  readonly prefetch?: string;
  readonly workers?: number;
  readonly detach?: boolean;
  readonly logFile?: string;
  readonly stats?: string;
  readonly unmount?: string;
}

const MAX_WORKERS = 64;

/** Makes `nydus-mount IMAGE MOUNTPOINT` of the program itself. */
export function addMountCommand(program: EnvironmentCommand): void {
  program
    .argument("[image]", "IMAGE to mount: HOST/REPO[:TAG|@DIGEST], oci:DIR[:TAG] or oci-archive:FILE[:TAG]")
    .argument("[mountpoint]", "an existing directory")
    .option("--bootstrap <file>", "mount a bare bootstrap in the place of IMAGE")
    .option("--blob-dir <dir>", "where the blobs of --bootstrap are (repeatable)", repeatedArgument)
    .option("--blob-id <id>", "id of the blob that --bootstrap was inlined in (default: its file name)")
    .option("--platform <os/arch[/variant]>", "mount this platform of an index (default: this machine's)")
    .option("--engine <name>", `${ENGINES.join(", ")} (default: auto)`)
    .option("--cache-dir <dir>", `folder of the cache (default: ${defaultCacheDirectory()})`)
    .option("--prefetch <what>", `fetch in the background: ${PREFETCH_CHOICES.join(", ")} (default: none)`)
    .option("--workers <number>", "threads that answer reads (default: 2)", integerArgument)
    .option("--detach", "return once the image is mounted")
    .option(
      "--log-file <file>",
      "where a detached mount reports (default: nydus-mount.log in the cache folder)",
    )
    .option("--stats <file>", "append a JSON line when the mount ends; - is standard output")
    .option("--unmount <mountpoint>", "unmount, and do nothing else");
  addAccessOptions(program);
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
  const { image, mountpoint } = operandsOf(operands, flags);
  const engine = choiceOption("engine", flags.engine ?? "auto", ENGINES);
  const prefetch = choiceOption("prefetch", flags.prefetch ?? "none", PREFETCH_CHOICES);
  const workers = integerOption("workers", flags.workers ?? 2, 1, MAX_WORKERS);
  const cacheDirectory = flags.cacheDir ?? defaultCacheDirectory();
  if (flags.detach === true) {
    const { status, line } = await startDetached(flags.logFile ?? join(cacheDirectory, "nydus-mount.log"));
    if (status === 0) output.notice(line);
    else process.stderr.write(line);
    return status;
  }

  const login = loginOf(flags);
  const stats = await withRequestedImage(
    {
      image,
      access: accessOf(flags),
      ...(flags.platform !== undefined && { platform: flags.platform }),
      ...(login !== undefined && { login }),
    },
    signal,
    (opened) =>
      serveImage(
        opened,
        { mountpoint, cacheDirectory, engine, prefetch, workers },
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

function operandsOf(
  operands: readonly string[],
  flags: MountFlags,
): { readonly image: string | BootstrapFile; readonly mountpoint: string } {
  const wanted = flags.bootstrap === undefined ? ["IMAGE", "MOUNTPOINT"] : ["MOUNTPOINT"];
  if (operands.length !== wanted.length) {
    throw new CodedError(
      "ERR_OPTION_INVALID",
      `wanted ${wanted.join(" and ")}, got ${operands.length} arguments`,
    );
  }
  const [first = "", second = ""] = operands;
  if (flags.bootstrap === undefined) {
    if (flags.blobDir !== undefined || flags.blobId !== undefined) {
      throw new CodedError("ERR_OPTION_INVALID", "--blob-dir and --blob-id go with --bootstrap");
    }
    return { image: first, mountpoint: second };
  }
  const { bootstrap, blobDir: blobDirs = [], blobId } = flags;
  return { image: { bootstrap, blobDirs, ...(blobId !== undefined && { blobId }) }, mountpoint: first };
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
