import type { Command } from "commander";
import { ControlClient } from "../../app/daemon-client.ts";
import { DEFAULT_SOCKET, readDaemonConfig } from "../../app/daemon-config.ts";

/** Options of every command that talks to a daemon. */
export interface ClientFlags {
  readonly socket?: string;
  readonly config?: string;
}

/** Adds the options that say which daemon is meant. */
export function addClientOptions(command: Command): Command {
  return command
    .option(
      "--socket <path>",
      `control socket of the daemon (default: that of --config, or ${DEFAULT_SOCKET})`,
    )
    .option("--config <file>", "configuration of the daemon");
}

/**
 * The daemon that is meant.
 *
 * @throws {CodedError} as readDaemonConfig.
 */
export async function clientOf({ socket, config }: ClientFlags): Promise<ControlClient> {
  return new ControlClient(
    socket ?? (config === undefined ? DEFAULT_SOCKET : (await readDaemonConfig(config)).socket),
  );
}
