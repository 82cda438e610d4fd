// Writes docs/metrics.md from the tables of the program, or with --check fails when it differs.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EVENTS } from "../dist/telemetry/events.js";
import { METRICS } from "../dist/telemetry/metrics.js";

const file = join(import.meta.dirname, "../docs/metrics.md");

const metricRows = Object.entries(METRICS).map(
  ([name, { type, unit, labels, help, stability }]) =>
    `| \`${name}\` | ${type} | ${unit} | ${labels.join(", ")} | ${stability} | ${help} |`,
);
const eventRows = Object.entries(EVENTS).map(
  ([name, { level, help }]) => `| \`${name}\` | ${level} | ${help} |`,
);

const text = `# Metrics and events

Made from the program's tables by \`node scripts/generate-metrics-docs.mjs\`. What to watch: [operations.md](operations.md#what-to-watch).

## Metrics

Of a daemon process, in Prometheus' text format, at \`/metrics\` of the address that \`[http] listen\` names. Histograms have the usual
\`_bucket\`, \`_sum\` and \`_count\`. What the kernel answers alone is not counted: its page cache, and EROFS over blobs that are complete.
What is stable keeps its name, labels and meaning within a major version.

| metric | type | unit | labels | stability | meaning |
|---|---|---|---|---|---|
${metricRows.join("\n")}

## Events

One line of JSON each on stderr, with \`level\`, \`timeMs\` (since 1970), \`event\` and the fields of the event; the last 256 are also in
\`nydus-daemon events\`. Names are stable; \`code\` is one of [operations.md](operations.md), \`untold\` the number of
failures like this one that were left out before it, for there were many.

| event | level | meaning |
|---|---|---|
${eventRows.join("\n")}
`;

if (!process.argv.includes("--check")) {
  writeFileSync(file, text);
} else if (readFileSync(file, "utf8") !== text) {
  console.error("docs/metrics.md is not what the program says: node scripts/generate-metrics-docs.mjs");
  process.exitCode = 1;
}
