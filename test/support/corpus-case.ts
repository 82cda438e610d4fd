import { execFileSync } from "node:child_process";
import type { Row } from "./compare-trees.ts";
import type { SourceImage } from "./source-image.ts";

/** A layer as it is stored, with its tar. */
export type Layer = SourceImage["layers"][number];

/** One image of the corpus. Unpacked by umoci, unless there is a reason to take another tool. */
export interface CorpusCase {
  readonly name: string;
  /** The layers, lowest first. */
  readonly layers: (folder: string) => readonly (Buffer | Layer)[];
  /** Tars to unpack in the place of the layers: the same, but for what umoci cannot read. */
  readonly reference?: (layers: readonly Buffer[]) => readonly Buffer[];
  /** Unpacks a tar in the place of umoci. */
  readonly unpack?: (tar: Buffer, directory: string) => void;
  /** What umoci shows otherwise, put right. */
  readonly adjust?: (row: Row) => Row;
}

/** Unpacks by a tool that reads a tar from its input. */
export function unpackWith(
  command: string,
  ...args: readonly string[]
): (tar: Buffer, directory: string) => void {
  return (tar, directory) => {
    execFileSync(command, [...args, "-xpf", "-", "-C", directory], { input: tar });
  };
}

/** What umoci cannot unpack is left to GNU tar. */
export const GNU_UNPACK = unpackWith(
  "tar",
  "--numeric-owner",
  "--xattrs",
  "--xattrs-include=*",
  "--warning=none",
);
