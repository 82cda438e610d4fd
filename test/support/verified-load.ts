import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { LoadCounts } from "./read-verified.ts";

/** Reads under way in a process of their own, every byte compared with the original. */
export class VerifiedLoad {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #stdout = "";

  private constructor(mountpoint: string, original: string, readers: number, names: readonly string[]) {
    const program = join(import.meta.dirname, "read-verified.js");
    this.#child = spawn(process.execPath, [program, mountpoint, original, String(readers), ...names], {
      env: { ...process.env, UV_THREADPOOL_SIZE: String(readers + 4) },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#ended = once(this.#child, "close");
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout += text;
    });
  }

  /**
   * Starts to read; returns when the first reads are under way.
   *
   * @param names The files to read; all when there are none.
   */
  static async start(
    mountpoint: string,
    original: string,
    readers = 8,
    names: readonly string[] = [],
  ): Promise<VerifiedLoad> {
    const load = new VerifiedLoad(mountpoint, original, readers, names);
    while (!load.#stdout.includes("reading")) await once(load.#child.stdout ?? load.#child, "data");
    return load;
  }

  /** Stops, and gives what was counted. */
  async stop(): Promise<LoadCounts> {
    this.#child.kill("SIGTERM");
    await this.#ended;
    return JSON.parse(this.#stdout.split("\n").at(-2) ?? "") as LoadCounts;
  }
}
