import { realpath } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "../base/errors.ts";
import { lockDirectory } from "../node/directory-lock.ts";
import { readState } from "../node/state-file.ts";
import { Supervisor } from "../node/supervisor.ts";
import { readSystemd } from "../node/systemd.ts";
import { makeDirectory } from "../store/make-directory.ts";
import { DAEMON_ENTRY } from "./daemon.ts";
import { readDaemonConfig } from "./daemon-config.ts";

/**
 * Runs the node daemon until the signal fires: SIGHUP reads the configuration again, SIGUSR2 is an upgrade.
 *
 * @param configFile Absent for the default configuration.
 * @throws {CodedError} ERR_MOUNT_FAILED without root, ERR_DAEMON_RUNNING, ERR_STATE_TOO_NEW, ERR_STATE_CORRUPT, ERR_OPTION_INVALID, ERR_ADDON_MISSING,
 *   ERR_TARGET_IO.
 */
export async function runSupervisor(configFile: string | undefined, signal: AbortSignal): Promise<void> {
  const { stateDirectory, takeoverDeadlineMs } = await readDaemonConfig(configFile);
  if (process.getuid?.() !== 0) throw new CodedError("ERR_MOUNT_FAILED", "nydus-daemon must run as root");
  let mountDirectory: string;
  try {
    await makeDirectory(stateDirectory, 0o700);
    // As the mount table will have it.
    mountDirectory = join(await realpath(stateDirectory), "node");
  } catch (cause) {
    throw new CodedError("ERR_TARGET_IO", `folder ${stateDirectory}`, { cause });
  }
  using _ = lockDirectory(stateDirectory);
  // Every daemon process reads it too; here a refusal ends the command before anything is mounted.
  await readState(join(stateDirectory, "state.json"));
  const supervisor = await Supervisor.start({
    entry: DAEMON_ENTRY,
    args: configFile === undefined ? [] : [configFile],
    mountDirectory,
    takeoverDeadlineMs,
    systemd: readSystemd(process.env),
  });
  const reload = (): void => supervisor.reload();
  const upgrade = (): void => supervisor.upgrade();
  process.on("SIGHUP", reload).on("SIGUSR2", upgrade);
  const stop = (): void => void supervisor.stop();
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  try {
    await supervisor.ended;
  } finally {
    process.off("SIGHUP", reload).off("SIGUSR2", upgrade);
  }
}
