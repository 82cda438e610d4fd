// What scripts/fuzz runs.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "../support/fixtures.ts";
import { inputOf } from "./fuzz-target.ts";
import { runTarget } from "./run-target.ts";
import { TARGETS } from "./targets.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    target: { type: "string", multiple: true },
    input: { type: "string" },
  },
});
const seed = Number(values.seed);
const targets = TARGETS.filter(({ name }) => values.target?.includes(name) ?? true);
const milliseconds = values.input === undefined ? (Number(positionals[0] ?? 60) * 1000) / targets.length : 1;
const folder = join(ROOT, ".build", "fuzz");

console.log(`seed ${seed}, ${targets.length} targets, ${(milliseconds / 1000).toFixed(1)} s each`);
let inputs = 0;
let findings = 0;
for (const target of targets) {
  const result = await runTarget(target.name, {
    module: new URL("./targets.js", import.meta.url).href,
    seed,
    milliseconds,
    first: Number(values.input ?? 0),
  });
  inputs += result.inputs;
  findings += result.findings.length;
  const share = ((100 * result.accepted) / result.inputs).toFixed(0);
  console.log(
    `${target.name.padEnd(22)} ${String(result.inputs).padStart(9)} inputs, ${share.padStart(3)} % accepted`,
  );
  for (const { index, message } of result.findings) {
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `${target.name}-${seed}-${index}`);
    writeFileSync(path, inputOf(target, target.corpus(), seed, index));
    console.log(`  --seed ${seed} --target ${target.name} --input ${index}, kept in ${path}:\n${message}`);
  }
}
console.log(`${inputs} inputs, ${findings} findings`);
process.exit(findings === 0 ? 0 : 1);
