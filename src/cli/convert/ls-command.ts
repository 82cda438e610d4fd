import type { Command } from "commander";
import { withNydusImage } from "../../app/image-request.ts";
import { type LsRow, listImage } from "../../app/list-image.ts";
import { textOf } from "../../base/bytes.ts";
import { addImageOptions, IMAGE_DESCRIPTION, type ImageFlags, imageRequestOf } from "../image-options.ts";
import { printable, writeLines } from "../lines.ts";
import { finishCommand } from "../program.ts";

interface LsFlags extends ImageFlags {
  readonly digest?: boolean;
}

/** Adds `nydus-convert ls`. */
export function addLsCommand(program: Command): void {
  const command = program
    .command("ls")
    .summary("list the files of a Nydus image")
    .description(
      "Lists the files of a Nydus image: PATH and everything below it, sorted by the bytes of the paths.",
    )
    .argument("[image]", IMAGE_DESCRIPTION)
    .argument("[path]", "path in the image (default: its root)")
    .option("--digest", "read every file and show its sha256");
  addImageOptions(command);
  finishCommand<LsFlags>(command, HELP, async ({ signal, output }, operands, flags) => {
    const { request, rest } = imageRequestOf(operands, flags, 1);
    const [path] = rest;
    const rows = await withNydusImage(request, { signal, allowUnsupported: true }, (image) =>
      listImage(image, { signal, digest: flags.digest === true, ...(path !== undefined && { path }) }),
    );
    await writeLines(output.json ? rows.map((row) => JSON.stringify(row)) : longLines(rows));
  });
}

const HELP = {
  examples: [
    ["nydus-convert ls registry.example/debian:12-nydus /usr/bin", "What a directory of an image holds:"],
    ["nydus-convert ls oci:debian:12-nydus --json --digest", "Every file with its sha256, for scripts:"],
    ["nydus-convert ls --bootstrap image.boot --blob-dir blobs", "A bare image in Nydus files:"],
  ],
} as const;

const TYPE_LETTERS: Readonly<Record<LsRow["type"], string>> = {
  file: "-",
  dir: "d",
  symlink: "l",
  char: "c",
  block: "b",
  fifo: "p",
  socket: "s",
};

/** As `ls -l` shows names, with the times as recorded. */
function longLines(rows: readonly LsRow[]): string[] {
  const cells = rows.map((row) => [
    TYPE_LETTERS[row.type] +
      permissions(Number.parseInt(row.mode, 8)) +
      (row.xattrs === undefined ? " " : "+"),
    String(row.nlink ?? "-"),
    String(row.uid),
    String(row.gid),
    row.rdev ?? String(row.size ?? "-"),
    timeOf(row.mtimeNs),
    ...(row.sha256 === undefined ? [] : [row.sha256]),
  ]);
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...cells.map((cell) => cell[column]?.length ?? 0)));
  return rows.map((row, index) => {
    const columns = cells[index]?.map((cell, column) => cell.padStart(widths[column] ?? 0)) ?? [];
    const target = row.target === undefined ? "" : ` -> ${printable(textOf(row.target))}`;
    return `${columns.join(" ")} ${printable(textOf(row.path))}${target}`;
  });
}

function permissions(mode: number): string {
  const letters = ["r", "w", "x", "r", "w", "x", "r", "w", "x"].map((letter, index) =>
    (mode & (0o400 >> index)) === 0 ? "-" : letter,
  );
  const special = [
    [0o4000, 2, "s", "S"],
    [0o2000, 5, "s", "S"],
    [0o1000, 8, "t", "T"],
  ] as const;
  for (const [bit, at, lower, upper] of special) {
    if ((mode & bit) !== 0) letters[at] = letters[at] === "x" ? lower : upper;
  }
  return letters.join("");
}

/** `2024-05-17 10:21:33.000000000` in UTC; the plain count where calendars end. */
function timeOf(mtimeNs: string): string {
  const nanoseconds = BigInt(mtimeNs);
  const fraction = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const date = new Date(Number((nanoseconds - fraction) / 1_000_000n));
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() > 9999 || date.getUTCFullYear() < 0)
    return mtimeNs;
  return `${date.toISOString().slice(0, 19).replace("T", " ")}.${fraction.toString().padStart(9, "0")}`;
}
