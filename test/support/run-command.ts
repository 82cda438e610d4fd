import { spawn } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "./fixtures.ts";

/** How a command ended and what it said. */
export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  /** Tree whose `dist` holds the command. @default this one */
  readonly root?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Called with what came on stdout and stderr so far; may signal the process. */
  readonly onOutput?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
}

/** Runs a command of `dist/cli` as a user would, in a clean environment. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<CommandResult> {
  const { PATH = "" } = process.env;
  const child = spawn(
    process.execPath,
    [join(options.root ?? ROOT, "dist", "cli", `${command}.js`), ...args],
    {
      env: { PATH, HOME: "/nonexistent", ...options.environment },
      stdio: "pipe",
    },
  );
  let stdout = "";
  let stderr = "";
  const told = (): void => options.onOutput?.(stdout + stderr, (signal) => child.kill(signal));
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    told();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    told();
  });
  child.stdin.end(options.input ?? "");
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, stdout, stderr }));
  });
}
