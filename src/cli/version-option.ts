import type { Command } from "commander";
import { type Versions, versions } from "../app/versions.ts";
import type { Output } from "./output.ts";
import { VERSION } from "./version.ts";

/** Thrown while options are parsed: whatever else is on the command line does not count. */
export class VersionRequest extends Error {}

/** Adds `--version`, which ends a program with {@link VersionRequest}. */
export function addVersionOption(program: Command): Command {
  return program
    .option("-V, --version", "print the version; with --verbose, Node.js' and those of the codecs in use too")
    .on("option:version", () => {
      throw new VersionRequest("the version was asked for");
    });
}

/** Prints the program's version and, when `isVerbose`, what it runs on. */
export function printVersion(output: Output, isVerbose: boolean): void {
  const details = isVerbose ? versions() : undefined;
  output.result(VERSION);
  for (const line of details === undefined ? [] : linesOf(details)) output.result(line);
  output.record("version", { version: VERSION, ...details });
}

function linesOf({ node, platform, addon, codecs }: Versions): string[] {
  const { inflate, zstd, lz4Encode, lz4Decode, blake3, sha256, crc32, crc32c } = codecs;
  const rows: (readonly [string, string])[] = [
    ["node", `${node} ${platform}`],
    ["addon", addon],
  ];
  const codecRows = {
    "gzip decode": inflate,
    zstd,
    "lz4 encode": lz4Encode,
    "lz4 decode": lz4Decode,
    blake3,
    sha256,
  };
  for (const [name, codec] of Object.entries({ ...codecRows, "crc-32": crc32, "crc-32c": crc32c })) {
    rows.push([
      name,
      codec === undefined ? "none: zstd-napi is not installed" : `${codec.library} ${codec.version}`,
    ]);
  }
  return rows.map(([name, text]) => `${name.padEnd(13)}${text}`);
}
