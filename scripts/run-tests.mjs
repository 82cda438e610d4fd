// Runs the compiled tests: all unit tests in one process, every file of test/e2e in one of its own.
// Usage: node scripts/run-tests.mjs [PART-OF-A-PATH ...]
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";

const built = resolve(import.meta.dirname, "../.build");
const wanted = process.argv.slice(2).map((part) => part.replace(/^test\//, ""));
const files = readdirSync(join(built, "test"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".test.js"))
  .filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)))
  .sort();
const endToEnd = files.filter((path) => path.startsWith("e2e/")).map((path) => join(built, "test", path));
const unit = files.filter((path) => !path.startsWith("e2e/"));

// One process for all unit tests: starting one for each file costs more than running them.
const all = join(built, "all-unit-tests.test.js");
mkdirSync(built, { recursive: true });
writeFileSync(all, unit.map((path) => `import "./test/${path}";\n`).join(""));

// A test that hangs must fail, not hold the machine.
const FILE_TIMEOUT_MS = 10 * 60_000;

const counts = { passed: 0, failed: 0, skipped: 0 };
const troubles = [];
const stream = run({
  files: [...(unit.length > 0 ? [all] : []), ...endToEnd],
  concurrency: 1,
  timeout: FILE_TIMEOUT_MS,
});
stream.on("test:fail", (event) => {
  if (event.details?.type === "suite") return;
  counts.failed++;
  troubles.push(`failed: ${event.name} (${event.file ?? ""})`);
});
stream.on("test:pass", (event) => {
  if (event.details?.type === "suite") return;
  if (event.skip !== undefined && event.skip !== false) {
    counts.skipped++;
    troubles.push(`skipped: ${event.name}: ${event.skip === true ? "no reason given" : event.skip}`);
  } else {
    counts.passed++;
  }
});
stream.on("test:stderr", ({ message, file }) => {
  // Such a file was left to the garbage collector; a later Node ends the process for it.
  if (!message.includes("on garbage collection")) return;
  counts.failed++;
  troubles.push(`failed: a file was not closed (${file ?? ""})`);
});
stream.compose(spec).pipe(process.stdout);
stream.on("end", () => {
  // A machine that gates must be able to run everything: there, a skipped test is a failed one.
  if (process.env.CI !== undefined) counts.failed += counts.skipped;
  setImmediate(() => {
    for (const trouble of troubles) console.log(trouble);
    if (counts.passed === 0) counts.failed++;
    process.exitCode = counts.failed > 0 ? 1 : 0;
    console.log(`${counts.passed} passed, ${counts.failed} failed`);
  });
});
