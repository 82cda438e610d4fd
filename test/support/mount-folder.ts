import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./fixtures.ts";
import { shell } from "./mounted-image.ts";
import type { CommandResult } from "./run-command.ts";

/** A temporary folder with an empty mountpoint and the place of a cache; nothing stays mounted when it goes. */
export class MountFolder implements AsyncDisposable {
  readonly path = mkdtempSync(join(tmpdir(), "nydus-cli-"));
  readonly mountpoint = join(this.path, "mnt");
  readonly cache = join(this.path, "cache");
  readonly #mounts: CliMount[] = [];

  constructor() {
    mkdirSync(this.mountpoint);
  }

  /** Starts `nydus-mount ARGS MOUNTPOINT` in the foreground. */
  start(args: readonly string[]): CliMount {
    const mount = new CliMount([...args, this.mountpoint, "--cache-dir", this.cache]);
    this.#mounts.push(mount);
    return mount;
  }

  /** As {@link MountFolder.start}; resolves when the image is mounted, rejects when it cannot be. */
  async mount(args: readonly string[]): Promise<CliMount> {
    const mount = this.start(args);
    await mount.mounted;
    return mount;
  }

  /** The row of /proc/self/mountinfo; empty when nothing is mounted. */
  async mountRow(): Promise<string> {
    return (await shell(`grep ' ${this.mountpoint} ' /proc/self/mountinfo`)).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const mount of this.#mounts) mount.kill("SIGTERM");
    await shell(`while umount -i -c -f -l ${this.mountpoint}; do :; done`);
    for (const mount of this.#mounts) await mount.ended;
    rmSync(this.path, { recursive: true });
  }
}

/** A process of `nydus-mount` as a user would start it, in a clean environment. */
export class CliMount {
  /** The line that says what was mounted where, by which engine and why. */
  readonly mounted: Promise<string>;
  readonly ended: Promise<CommandResult>;
  readonly #child: ChildProcess;
  #stdout = "";
  #stderr = "";

  constructor(args: readonly string[]) {
    const { PATH = "" } = process.env;
    const child = spawn(process.execPath, [join(ROOT, "dist", "cli", "nydus-mount.js"), ...args], {
      env: { PATH, HOME: "/nonexistent" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout += text;
    });
    this.ended = once(child, "close").then(([status]) => ({
      status: status as number | null,
      stdout: this.#stdout,
      stderr: this.#stderr,
    }));
    this.mounted = new Promise((resolve, reject) => {
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        this.#stderr += text;
        const line = /^mounted .*$/m.exec(this.#stderr);
        if (line !== null) resolve(line[0]);
      });
      this.ended.then(({ status, stderr }) => reject(new Error(`exit ${status}: ${stderr}`)), reject);
    });
    // Whoever waits for the end only must not be told of it twice.
    this.mounted.catch(() => undefined);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What came on stdout so far. */
  get stdout(): string {
    return this.#stdout;
  }

  /** What came on stderr so far. */
  get stderr(): string {
    return this.#stderr;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Asks it to unmount and waits for its end. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<CommandResult> {
    this.kill(signal);
    return this.ended;
  }
}
