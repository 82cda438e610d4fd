import { createLogUpdate } from "log-update";
import type { Progress } from "./progress.ts";

/** Milliseconds between two drawings. */
const DRAW_INTERVAL = 100;

/** Lines at the lower end of a terminal that are drawn again and again, and erased in the end. */
export class TerminalProgress implements Disposable {
  readonly #stream: NodeJS.WriteStream;
  readonly #progress: Progress;
  readonly #drawn: ReturnType<typeof createLogUpdate>;
  readonly #timer: NodeJS.Timeout;

  constructor(stream: NodeJS.WriteStream, progress: Progress) {
    this.#stream = stream;
    this.#progress = progress;
    // A hidden cursor would have to come back however the program ends.
    this.#drawn = createLogUpdate(stream, { showCursor: true });
    this.#timer = setInterval(() => this.#draw(), DRAW_INTERVAL);
    this.#draw();
  }

  /** Prints a line that stays, above the others. */
  printAbove(line: string): void {
    this.#drawn.clear();
    this.#stream.write(`${line}\n`);
    this.#draw();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#drawn.clear();
    this.#drawn.done();
  }

  #draw(): void {
    const { columns, rows } = this.#stream;
    // A line that scrolled off cannot be drawn over: the first ones are the ones to see.
    const lines = this.#progress.lines(columns);
    this.#drawn(lines.slice(0, rows - 1).join("\n"));
  }
}
