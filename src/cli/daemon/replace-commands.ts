import type { Command } from "commander";
import { upgradeDaemon } from "../../app/daemon-client.ts";
import { parseDuration } from "../../base/options.ts";
import { finishCommand } from "../program.ts";
import { addClientOptions, type ClientFlags, clientOf } from "./client-options.ts";

/** Adds `nydus-daemon upgrade` and `reload`. */
export function addReplaceCommands(program: Command): void {
  const upgrade = program
    .command("upgrade")
    .summary("replace the daemon process by a new one")
    .description(
      "Starts a successor, of the installation that the configuration names, and returns when it serves. Readers wait for " +
        "some tenths of a second at most. When the successor does not start, the old process serves on.",
    )
    .option("--timeout <duration>", "how long to wait, such as 30s (default: 60s)");
  addClientOptions(upgrade);
  finishCommand<ClientFlags & { readonly timeout?: string }>(
    upgrade,
    UPGRADE_HELP,
    async ({ signal, output }, _, flags) => {
      const timeoutMs = parseDuration("timeout", flags.timeout ?? "60s");
      const status = await upgradeDaemon(await clientOf(flags), timeoutMs, signal);
      output.result(`process ${status.pid}, version ${status.version}, serves`);
      output.record("upgraded", { pid: status.pid, version: status.version, generation: status.generation });
    },
  );

  const reload = program
    .command("reload")
    .summary("read configuration and credentials again")
    .description(
      "What takes a new process (folders, socket, workers, deadlines) counts from the next upgrade on.",
    );
  addClientOptions(reload);
  finishCommand<ClientFlags>(reload, RELOAD_HELP, async ({ signal }, _, flags) => {
    await (await clientOf(flags)).reload(signal);
  });
}

const UPGRADE_HELP = {
  examples: [["nydus-daemon upgrade", "After a new version was installed:"]],
  exitStatus: [[0, "the successor serves"]],
} as const;

const RELOAD_HELP = { examples: [["nydus-daemon reload", "After credentials were changed:"]] } as const;
