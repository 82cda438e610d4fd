import { spawnSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { join } from "node:path";
import { CodedError } from "../base/errors.ts";

/** Milliseconds that flock(1) may take; it never waits. */
const FLOCK_TIMEOUT_MS = 10_000;
/** What flock(1) answers when somebody else has the lock. */
const CONFLICT = 75;

/**
 * Takes a directory for this process alone. The lock belongs to an open file, so it ends with the process, however
 * that ends; child processes do not get it.
 *
 * @returns Gives the lock back.
 * @throws {CodedError} ERR_DAEMON_RUNNING when another process has it, ERR_TARGET_IO.
 */
export function lockDirectory(directory: string): Disposable {
  const path = join(directory, "lock");
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (cause) {
    throw new CodedError("ERR_TARGET_IO", `lock ${path}`, { cause });
  }
  // Node has no flock(2). The command locks the open file that it shares with us, and ends; we keep it open.
  const { status, error } = spawnSync("flock", ["-n", "-E", String(CONFLICT), "3"], {
    stdio: ["ignore", "ignore", "ignore", fd],
    timeout: FLOCK_TIMEOUT_MS,
  });
  if (status === 0) return { [Symbol.dispose]: () => closeSync(fd) };
  closeSync(fd);
  if (status === CONFLICT) {
    throw new CodedError("ERR_DAEMON_RUNNING", `another nydus-daemon uses ${directory}`);
  }
  throw new CodedError("ERR_TARGET_IO", `lock ${path}: flock(1) ended with ${status}`, { cause: error });
}
