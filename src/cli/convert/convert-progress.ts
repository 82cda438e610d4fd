import type { ConvertEvent } from "../../app/convert.ts";
import { formatSize } from "../../base/options.ts";
import { printable } from "../lines.ts";
import type { Progress } from "../progress.ts";

/** What a conversion is doing. */
type Phase = "reading the manifest" | "converting" | "merging" | "publishing";

/** A layer or blob that is under way. */
interface Item {
  readonly name: string;
  done: number;
  readonly size: number;
}

/** Columns of a bar, and of the name before it. */
const BAR_WIDTH = 24;
const NAME_WIDTH = 20;

/** How far a conversion is, from its events. */
export class ConvertProgress implements Progress {
  readonly #now: () => number;
  #phase: Phase = "reading the manifest";
  /** What the phase is about: the platform of the image; empty when it is all of them. */
  #subject = "";
  /** Layers to convert or blobs to publish in this phase, and their bytes. */
  #total = { count: 0, size: 0 };
  #finished = { count: 0, size: 0 };
  readonly #underWay = new Map<string, Item>();
  /** When the rate was last asked for, and how many bytes were done then. */
  #last: { at: number; done: number };

  /** @param now A clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#last = { at: now(), done: 0 };
  }

  /** Takes the next event of the conversion. */
  follow(event: ConvertEvent): void {
    switch (event.type) {
      case "image-started":
        this.#begin("converting", event.platform, event.layers, event.size);
        break;
      case "layer-started":
        this.#start(String(event.layer), `layer ${event.layer}`, event.size);
        break;
      case "layer-progress":
        this.#advance(String(event.layer), event.done);
        break;
      case "layer-converted":
        this.#finish(String(event.layer), event.sourceSize);
        break;
      case "merge-started":
        this.#begin("merging", event.platform, 0, 0);
        break;
      case "publish-started":
        this.#begin("publishing", "", event.blobs, event.size);
        break;
      case "blob-progress":
        if (!this.#underWay.has(event.digest)) {
          this.#start(event.digest, shortDigest(event.digest), event.size);
        }
        this.#advance(event.digest, event.done);
        break;
      case "blob-published":
        this.#finish(event.digest, event.size);
        break;
    }
  }

  lines(columns: number): readonly string[] {
    const total = { name: this.#title(), done: this.#done(), size: this.#total.size };
    const width = Math.max(NAME_WIDTH, total.name.length);
    return [total, ...this.#underWay.values()].map((item) => lineOf(item, width).slice(0, columns - 1));
  }

  summary(): string {
    const { count, done, size, rate } = this.#state();
    if (this.#total.count === 0) return this.#title();
    const what = this.#phase === "publishing" ? "blobs" : "layers";
    const bytes =
      size === 0 ? formatSize(done) : `${formatSize(done)} of ${formatSize(size)}${percent(done, size)}`;
    return `${this.#title()}: ${count} of ${this.#total.count} ${what} done, ${bytes}, ${formatSize(rate)}/s`;
  }

  fields(): object {
    const { count, done, size, rate } = this.#state();
    return { phase: this.#phase, finished: count, count: this.#total.count, done, size, rate };
  }

  #begin(phase: Phase, subject: string, count: number, size: number): void {
    this.#phase = phase;
    this.#subject = printable(subject);
    this.#total = { count, size };
    this.#finished = { count: 0, size: 0 };
    this.#underWay.clear();
    this.#last = { at: this.#now(), done: 0 };
  }

  #start(key: string, name: string, size: number): void {
    this.#underWay.set(key, { name, done: 0, size });
  }

  #advance(key: string, done: number): void {
    const item = this.#underWay.get(key);
    if (item !== undefined) item.done = done;
  }

  #finish(key: string, size: number): void {
    this.#underWay.delete(key);
    this.#finished = { count: this.#finished.count + 1, size: this.#finished.size + size };
  }

  #title(): string {
    return `${this.#phase} ${this.#subject}`.trimEnd();
  }

  #done(): number {
    return [...this.#underWay.values()].reduce((sum, { done }) => sum + done, this.#finished.size);
  }

  /** Where the phase is now, and how fast it was since this was last asked for, in bytes a second. */
  #state(): { count: number; done: number; size: number; rate: number } {
    const at = this.#now();
    const done = this.#done();
    const seconds = (at - this.#last.at) / 1000;
    // A write that began anew has fewer bytes than before.
    const rate = seconds > 0 ? Math.max(0, Math.round((done - this.#last.done) / seconds)) : 0;
    this.#last = { at, done };
    return { count: this.#finished.count, done, size: this.#total.size, rate };
  }
}

function lineOf({ name, done, size }: Item, nameWidth: number): string {
  const start = name.padEnd(nameWidth);
  // The size of a directory is not known before it was read.
  if (size === 0) return done === 0 ? start.trimEnd() : `${start} ${formatSize(done)}`;
  const filled = Math.floor((BAR_WIDTH * Math.min(done, size)) / size);
  const bar = "#".repeat(filled).padEnd(BAR_WIDTH, ".");
  return `${start} [${bar}] ${formatSize(done)} of ${formatSize(size)}`;
}

function percent(done: number, size: number): string {
  return ` (${Math.floor((100 * Math.min(done, size)) / size)} %)`;
}

function shortDigest(digest: string): string {
  return digest.slice(0, NAME_WIDTH);
}
