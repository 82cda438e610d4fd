import type { Command } from "commander";
import { DEFAULT_CONFIG_TEXT, readDaemonConfig, redactedConfig } from "../../app/daemon-config.ts";
import { CodedError } from "../../base/errors.ts";
import { choiceOption } from "../../base/options.ts";
import { finishCommand } from "../program.ts";

/** Adds `nydus-daemon config`. */
export function addConfigCommand(program: Command): void {
  const command = program
    .command("config")
    .summary("print the default configuration, or check one")
    .description(
      "`default` prints a configuration with every key, its default and what it means; `check` reads one.",
    )
    .argument("<what>", "default or check")
    .argument("[file]", "the configuration to check");
  finishCommand(command, HELP, async ({ output }, [what = "", file]) => {
    if (choiceOption("what", what, ["default", "check"]) === "default") {
      process.stdout.write(DEFAULT_CONFIG_TEXT);
      return;
    }
    if (file === undefined) throw new CodedError("ERR_OPTION_INVALID", "wanted the file to check");
    const config = redactedConfig(await readDaemonConfig(file));
    if (output.json) output.record("config", config);
    else output.result(JSON.stringify(config, null, 2));
  });
}

const HELP = {
  examples: [
    ["nydus-daemon config default > daemon.toml", "Start from all defaults:"],
    ["nydus-daemon config check daemon.toml", "What a configuration says, without its secrets:"],
  ],
} as const;
