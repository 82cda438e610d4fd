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
  readonly #isTerminal = process.stderr.isTTY === true;
  #lastProgress = performance.now();

  constructor(options: OutputOptions) {
    this.json = options.json;
    this.#quiet = options.quiet;
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
    if (!this.#quiet && !this.json) process.stderr.write(`${line}\n`);
  }

  /** A line of progress: always on a terminal, at most one in 10 s elsewhere, none when quiet. */
  progress(line: string): void {
    if (this.#quiet || this.json) return;
    const now = performance.now();
    if (!this.#isTerminal && now - this.#lastProgress < PROGRESS_INTERVAL) return;
    this.#lastProgress = now;
    process.stderr.write(`${line}\n`);
  }
}
