import type { Command } from "commander";
import { type Versions, versions } from "../app/versions.ts";
import { VERSION } from "../base/version.ts";
import type { Output } from "./output.ts";

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
  const describe = (codec: Versions["codecs"]["zstd"]): string =>
    codec === undefined ? "none: zstd-napi is not installed" : `${codec.library} ${codec.version}`;
  const rows = {
    node: `${node} ${platform}`,
    addon,
    "gzip decode": describe(codecs.inflate),
    zstd: describe(codecs.zstd),
    "lz4 encode": describe(codecs.lz4Encode),
    "lz4 decode": describe(codecs.lz4Decode),
    blake3: describe(codecs.blake3),
    sha256: describe(codecs.sha256),
    "crc-32c": describe(codecs.crc32c),
  };
  return Object.entries(rows).map(([name, text]) => `${name.padEnd(13)}${text}`);
}
