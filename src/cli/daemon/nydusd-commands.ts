import type { Command } from "commander";
import { CodedError } from "../../base/errors.ts";
import { finishCommand, integerArgument } from "../program.ts";

interface NydusdFlags {
  readonly apisock?: string;
  readonly mountpoint?: string;
  readonly id?: string;
  readonly config?: string;
  readonly bootstrap?: string;
  readonly logFile?: string;
  readonly threadNum?: number;
  readonly upgrade?: boolean;
}

/** Options of nydusd that change nothing here; some take a value. */
const IGNORED = [
  "--log-level <level>",
  "--log-rotation-size <size>",
  "--supervisor <socket>",
  "--failover-policy <policy>",
  "--prefetch-files <file>",
  "--rlimit-nofile <number>",
] as const;

/** Adds `nydus-daemon fuse` and `singleton`: nydusd's command line, for nydus-snapshotter. */
export function addNydusdCommands(program: Command): void {
  for (const name of ["fuse", "singleton"]) {
    const command = program
      .command(name)
      .summary("serve in nydusd's place, for nydus-snapshotter")
      .description(
        "Takes the command line and the API v1 of nydusd: what containerd-nydus-grpc runs when its configuration names this " +
          "program as nydusd_path. One process, without a supervisor.",
      )
      .option("--apisock <socket>", "where nydusd's API is served")
      .option("--mountpoint <dir>", "where the image is mounted, or below it those of the API")
      .option("--id <id>", "what the API says of itself")
      .option("--config <file>", "nydusd's configuration in JSON, with --bootstrap")
      .option("--bootstrap <file>", "bootstrap of an image that is mounted at once")
      .option("--log-file <file>", "where events are written (default: standard error)")
      .option(
        "--thread-num <number>",
        "threads that answer reads (default: 2)",
        integerArgument("thread-num"),
      )
      .option("--upgrade", "refused: there is no state of a nydusd to take over");
    for (const flags of IGNORED) command.option(flags, "accepted, without effect");
    finishCommand<NydusdFlags>(command, HELP, async ({ signal }, _, flags) => {
      const { apisock, mountpoint, threadNum, upgrade, id, config, bootstrap, logFile } = flags;
      if (upgrade === true) throw new CodedError("ERR_FEATURE_UNSUPPORTED", "taking over from a nydusd");
      if (apisock === undefined || mountpoint === undefined) {
        throw new CodedError("ERR_OPTION_INVALID", "--apisock and --mountpoint must be given");
      }
      // Not for the supervisor, which is this program too: it would keep all of it in memory.
      const { runNydusd } = await import("../../app/run-nydusd.ts");
      await runNydusd(
        {
          apiSocket: apisock,
          mountpoint,
          threads: threadNum ?? 2,
          ...(id !== undefined && { id }),
          ...(config !== undefined && { config }),
          ...(bootstrap !== undefined && { bootstrap }),
          ...(logFile !== undefined && { logFile }),
        },
        signal,
      );
    });
  }
}

const HELP = {
  examples: [
    [
      "nydus-daemon fuse --apisock /run/x/api.sock --mountpoint /run/x/mnt",
      "As nydus-snapshotter starts it:",
    ],
  ],
} as const;
