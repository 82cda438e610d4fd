import { runSupervisor } from "../../app/run-supervisor.ts";
import { CodedError } from "../../base/errors.ts";
import { EnvironmentCommand, finishCommand } from "../program.ts";
import { addVersionOption } from "../version-option.ts";
import { addConfigCommand } from "./config-command.ts";
import { addMountCommands } from "./mount-commands.ts";
import { addNydusdCommands } from "./nydusd-commands.ts";
import { addReplaceCommands } from "./replace-commands.ts";
import { addStatusCommands } from "./status-commands.ts";

/** The program `nydus-daemon` with all its commands. */
export function createDaemonProgram(): EnvironmentCommand {
  const program = new EnvironmentCommand("nydus-daemon");
  program
    .description("Serve Nydus images to a node; the commands talk to the daemon that runs")
    .usage("[options] [command]")
    .argument("[none]")
    // Options behind a command's name are the command's.
    .enablePositionalOptions()
    .option("--config <file>", "configuration in TOML (default: nydus-daemon config default)");
  addVersionOption(program);
  finishCommand<{ readonly config?: string }>(program, HELP, async ({ signal }, operands, { config }) => {
    if (operands.length > 0) {
      throw new CodedError("ERR_OPTION_INVALID", `there is no command ${JSON.stringify(operands[0])}`);
    }
    await runSupervisor(config, signal);
  });
  addMountCommands(program);
  addStatusCommands(program);
  addReplaceCommands(program);
  addConfigCommand(program);
  addNydusdCommands(program);
  return program;
}

const HELP = {
  examples: [
    [
      "nydus-daemon --config /etc/nydus-toolkit/daemon.toml",
      "Serve until SIGTERM (SIGHUP: reload, SIGUSR2: upgrade):",
    ],
    ["nydus-daemon mount registry.example/debian:12-nydus /mnt", "Mount an image, and return:"],
  ],
  exitStatus: [[0, "stopped by SIGINT or SIGTERM"]],
} as const;
