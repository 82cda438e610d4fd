// What a trace point costs: while nobody listens, counted for metrics, and as a span. Usage: scripts/bench trace-points [--json]
import { TRACE_POINTS } from "../../dist/base/trace-points.js";
import { tracedBlobs } from "../../dist/store/traced.js";
import { countTraces } from "../../dist/telemetry/count-traces.js";
import { MetricSet } from "../../dist/telemetry/metric-set.js";
import { startSpans } from "../../dist/telemetry/spans.js";

const CALLS = 200_000;
const ROUNDS = 5;

const bytes = new Uint8Array(1);
const plain = { name: "registry example/app", size: async () => 1, read: async () => bytes };
const traced = tracedBlobs(plain);
const options = { signal: new AbortController().signal };

async function nanoseconds(source) {
  const begin = performance.now();
  for (let call = 0; call < CALLS; call++) await source.read("", 0, 1, options);
  return ((performance.now() - begin) * 1e6) / CALLS;
}

/** Median of what a call costs more than one without the point; in turn, for the machine may be busy. */
async function cost() {
  const rounds = [];
  for (let round = 0; round < ROUNDS; round++) {
    const without = await nanoseconds(plain);
    rounds.push((await nanoseconds(traced)) - without);
  }
  return rounds.sort((left, right) => left - right)[Math.floor(ROUNDS / 2)];
}

await nanoseconds(traced);
const off = await cost();
const counting = countTraces(await MetricSet.load(), { hungReadAfterMs: 10_000 });
const counted = await cost();
counting[Symbol.dispose]();
// Nobody is there: batches are dropped.
const spans = await startSpans({ endpoint: "http://127.0.0.1:9", version: "0", onError: () => undefined });
const spanned = await cost();
await spans[Symbol.asyncDispose]();
const after = await cost();

const rows = { off, counted, spanned, after };
if (process.argv.includes("--json")) {
  console.log(JSON.stringify({ point: TRACE_POINTS.request, unit: "ns", ...rows }));
} else {
  for (const [name, value] of Object.entries(rows))
    console.log(`${name.padEnd(8)} ${value.toFixed(0).padStart(6)} ns a call`);
}
