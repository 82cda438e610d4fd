import { type SpawnOptions, spawn } from "node:child_process";
import { CodedError } from "../base/errors.ts";

/** Bytes of a command's messages that an error repeats. */
const MAX_MESSAGE = 2000;

/** How a command ran. */
export interface CommandResult {
  readonly status: number;
  /** What it wrote to stderr, cut short. */
  readonly message: string;
}

/**
 * Runs a program and waits for it.
 *
 * @param extra A descriptor that the program gets as its number 3.
 * @throws {CodedError} ERR_MOUNT_FAILED when it cannot be started.
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  extra?: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const stdio: SpawnOptions["stdio"] = ["ignore", "ignore", "pipe", ...(extra === undefined ? [] : [extra])];
  const child = spawn(command, [...args], { stdio, env: { ...process.env, ...environment, LC_ALL: "C" } });
  let message = "";
  child.stderr?.on("data", (piece: Buffer) => {
    if (message.length < MAX_MESSAGE) message += piece.toString().slice(0, MAX_MESSAGE);
  });
  return new Promise((resolve, reject) => {
    child.on("error", (cause) => reject(new CodedError("ERR_MOUNT_FAILED", command, { cause })));
    child.on("close", (status, signal) => {
      resolve({ status: status ?? 1, message: message.trim() || (signal ?? `status ${status}`) });
    });
  });
}
