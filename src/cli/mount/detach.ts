import { spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { dirname } from "node:path";
import { makeDirectory } from "../../app/mount-image.ts";
import { CodedError } from "../../base/errors.ts";

/** What the serving process tells the one that waits for it. */
interface MountedMessage {
  readonly type: "mounted";
  readonly line: string;
}

/** How much of the log of a failed start is shown. */
const MAX_LOG_BYTES = 65536;

/**
 * Starts this program again without `--detach`, as a process of its own session, and waits until it has mounted or
 * failed. What it says goes to a log file.
 *
 * @returns The exit status, and what the serving process said when it mounted.
 * @throws {CodedError} ERR_OPTION_INVALID when the log file cannot be written.
 */
export async function startDetached(
  logFile: string,
): Promise<{ readonly status: number; readonly line: string }> {
  const log = await openLog(logFile);
  const start = fstatSync(log).size;
  const argv = process.argv.slice(1).filter((argument) => argument !== "--detach");
  const { NYDUS_DETACH: _, ...env } = process.env;
  const child = spawn(process.execPath, argv, { detached: true, env, stdio: [0, log, log, "ipc"] });
  const outcome = await new Promise<{ status: number; line: string }>((resolve, reject) => {
    child.on("error", reject);
    child.on("message", ({ line }: MountedMessage) => resolve({ status: 0, line }));
    child.on("exit", (status) => resolve({ status: status ?? 1, line: readFrom(log, start) }));
  });
  closeSync(log);
  child.removeAllListeners();
  if (child.connected) child.disconnect();
  child.unref();
  return outcome;
}

/** Tells the process that waits, if there is one, that the image is mounted; it then goes. */
export function tellMounted(line: string): void {
  if (process.send === undefined) return;
  process.send({ type: "mounted", line } satisfies MountedMessage);
  process.disconnect();
}

async function openLog(path: string): Promise<number> {
  try {
    await makeDirectory(dirname(path), 0o700);
    return openSync(path, "a+", 0o600);
  } catch (cause) {
    throw new CodedError("ERR_OPTION_INVALID", `log file ${path} cannot be written`, { cause });
  }
}

function readFrom(file: number, start: number): string {
  const buffer = Buffer.alloc(MAX_LOG_BYTES);
  return buffer.subarray(0, readSync(file, buffer, 0, buffer.length, start)).toString();
}
