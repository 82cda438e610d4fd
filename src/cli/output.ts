import type { Progress } from "./progress.ts";
import type { TerminalProgress } from "./terminal-progress.ts";

/** How a command speaks. */
export interface OutputOptions {
  /** JSON lines instead of text. */
  readonly json: boolean;
  /** No progress. */
  readonly quiet: boolean;
}

/** Milliseconds between two lines of progress where nobody watches a terminal. */
const PROGRESS_INTERVAL = 10_000;

/** Results go to stdout, everything else to stderr. */
export class Output {
  readonly json: boolean;
  readonly #quiet: boolean;
  readonly #stderr: NodeJS.WriteStream;
  readonly #start = performance.now();
  #lastProgress = this.#start;
  #terminal: TerminalProgress | undefined;

  constructor(options: OutputOptions, stderr: NodeJS.WriteStream = process.stderr) {
    this.json = options.json;
    this.#quiet = options.quiet;
    this.#stderr = stderr;
  }

  /** One line of text on stdout; nothing with `--json`. */
  result(line: string): void {
    if (!this.json) process.stdout.write(`${line}\n`);
  }

  /** One JSON line on stdout, with `--json` only. */
  record(type: string, fields: object): void {
    if (this.json) process.stdout.write(`${JSON.stringify({ type, ...fields })}\n`);
  }

  /** A line on stderr that a person should see, also without a terminal. */
  notice(line: string): void {
    if (!this.#quiet && !this.json) this.#write(line);
  }

  /** A line for who watches a terminal; nobody else gets it. */
  detail(line: string): void {
    if (this.#isWatched) this.#write(line);
  }

  /** A line of progress: always on a terminal, at most one in 10 s elsewhere, none when quiet. */
  progress(line: string): void {
    if (this.#quiet || this.json) return;
    const now = performance.now();
    if (!this.#isWatched && now - this.#lastProgress < PROGRESS_INTERVAL) return;
    this.#lastProgress = now;
    this.#write(line);
  }

  /** A line about the end: on a terminal, and in a log that got lines of progress before. */
  summary(line: string): void {
    if (this.#isWatched || performance.now() - this.#start >= PROGRESS_INTERVAL) this.notice(line);
  }

  /**
   * Shows progress until it is disposed of: drawn on a terminal, else a line in 10 s, with `--json` a `progress`
   * record in 10 s. Nothing when quiet.
   */
  async show(progress: Progress): Promise<Disposable> {
    if (this.#quiet) return { [Symbol.dispose]: () => undefined };
    if (this.#isWatched) {
      // Nobody else waits for what draws to be loaded.
      const { TerminalProgress } = await import("./terminal-progress.ts");
      const terminal = new TerminalProgress(this.#stderr, progress);
      this.#terminal = terminal;
      return {
        [Symbol.dispose]: () => {
          this.#terminal = undefined;
          terminal[Symbol.dispose]();
        },
      };
    }
    const timer = setInterval(() => {
      if (this.json) this.record("progress", progress.fields());
      else this.#write(progress.summary());
    }, PROGRESS_INTERVAL);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  get #isWatched(): boolean {
    // A pseudo-terminal without a size, as some runners give, has nobody before it.
    const { isTTY, rows = 0 } = this.#stderr;
    return isTTY === true && rows > 0 && process.env["TERM"] !== "dumb" && !this.#quiet && !this.json;
  }

  #write(line: string): void {
    if (this.#terminal !== undefined) this.#terminal.printAbove(line);
    else this.#stderr.write(`${line}\n`);
  }
}
