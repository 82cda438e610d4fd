/**
 * A program: reads random ranges of files below a mountpoint and compares them with the same files of the original, until
 * it gets SIGTERM. Prints `reading` when it begins, and at the end what it counted, as a line of JSON.
 *
 * Arguments: mountpoint, original, readers at once, names of the files (all when there are none).
 */
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";

/** What a load has seen. */
export interface LoadCounts {
  readonly reads: number;
  /** Reads that failed, by errno. */
  readonly errors: Readonly<Record<string, number>>;
  /** Reads that gave other bytes than the original. Must be 0. */
  readonly wrong: number;
  /** Milliseconds that the slowest read took. */
  readonly longestMs: number;
}

const SIZES = [1, 100, 4096, 65_536, 2 ** 18];

/** Reads a range to its end: a read(2) may stop at a page that cannot be had, and only the next one says why. */
async function readRange(path: string, offset: number, length: number): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const bytes = Buffer.alloc(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
      if (bytesRead === 0) return bytes.subarray(0, done);
      done += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

async function main([
  mountpoint = "",
  original = "",
  readers = "4",
  ...only
]: readonly string[]): Promise<void> {
  const names = only.length > 0 ? only : await readdir(original);
  const sizes = new Map<string, number>();
  for (const name of names) {
    const file = await open(join(original, name), "r");
    sizes.set(name, (await file.stat()).size);
    await file.close();
  }
  let isOver = false;
  const counts = { reads: 0, errors: {} as Record<string, number>, wrong: 0, longestMs: 0 };
  process.on("SIGTERM", () => {
    isOver = true;
  });
  const draw = (limit: number): number => Math.floor(Math.random() * limit);
  const reader = async (): Promise<void> => {
    while (!isOver) {
      const name = names[draw(names.length)] ?? "";
      const offset = draw((sizes.get(name) ?? 0) + 1);
      const length = SIZES[draw(SIZES.length)] ?? 1;
      const wanted = await readRange(join(original, name), offset, length);
      const start = performance.now();
      try {
        const found = await readRange(join(mountpoint, name), offset, length);
        if (!found.equals(wanted)) counts.wrong++;
      } catch (error) {
        const { code = "unknown" } = error as NodeJS.ErrnoException;
        counts.errors[code] = (counts.errors[code] ?? 0) + 1;
      }
      counts.reads++;
      counts.longestMs = Math.max(counts.longestMs, Math.round(performance.now() - start));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  process.stdout.write("reading\n");
  await Promise.all(Array.from({ length: Number(readers) }, reader));
  process.stdout.write(`${JSON.stringify(counts satisfies LoadCounts)}\n`);
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
