// Writes docs/cli.md from the programs' own definitions, or with --check fails when it differs.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createConvertProgram } from "../dist/cli/convert/convert-program.js";
import { createDaemonProgram } from "../dist/cli/daemon/daemon-program.js";
import { createMountProgram } from "../dist/cli/mount/mount-program.js";

const file = join(import.meta.dirname, "../docs/cli.md");

function helpOf(command) {
  let text = "";
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 110 });
  command.outputHelp();
  return text.trimEnd();
}

function sectionOf(command, parents) {
  const name = [...parents, command.name()].join(" ");
  const own = `${"#".repeat(parents.length + 2)} ${name}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`\n`;
  return [own, ...command.commands.flatMap((child) => sectionOf(child, [...parents, command.name()]))];
}

const text = [
  "# Command line\n\nMade from the programs' definitions by `node scripts/generate-cli-docs.mjs`. Every option can be given as an environment\nvariable too: `NYDUS_` and its name in capitals, with `_` for `-`.\n",
  ...[createConvertProgram(), createMountProgram(), createDaemonProgram()].flatMap((program) =>
    sectionOf(program, []),
  ),
].join("\n");

if (!process.argv.includes("--check")) {
  writeFileSync(file, text);
} else if (readFileSync(file, "utf8") !== text) {
  console.error("docs/cli.md is not what the programs say: node scripts/generate-cli-docs.mjs");
  process.exitCode = 1;
}
