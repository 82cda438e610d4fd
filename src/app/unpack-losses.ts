import { textOf } from "../base/bytes.ts";

/** What of a name could not be written as the image has it. */
export type LossKind = "owner" | "mode" | "mtime" | "xattr" | "char" | "block" | "fifo" | "socket";

/** What was not restored, counted. */
export class UnpackLosses {
  readonly #counts = new Map<LossKind, number>();
  readonly #first = new Map<LossKind, string>();

  add(kind: LossKind, path: string): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    if (!this.#first.has(kind)) this.#first.set(kind, textOf(path));
  }

  /** Names that are not as the image has them, by what is missing. */
  get counts(): Readonly<Partial<Record<LossKind, number>>> {
    return Object.fromEntries(this.#counts);
  }

  /** One line for people; absent when nothing was lost. */
  describe(): string | undefined {
    if (this.#counts.size === 0) return undefined;
    const parts = [...this.#counts].map(
      ([kind, count]) => `${kind} ${count} (first: ${this.#first.get(kind)})`,
    );
    return `not restored: ${parts.join(", ")}`;
  }
}
