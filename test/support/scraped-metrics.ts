import { METRICS } from "#src/telemetry/metrics.js";

/** Samples of Prometheus' text format, by name with labels as they are written. */
export type Samples = ReadonlyMap<string, number>;

/** Reads what a scrape answered. Fails over a line that is no sample, and over one without a row in the table. */
export function parseSamples(text: string): Samples {
  const samples = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [, key = "", value = ""] = /^(.+) (\S+)$/.exec(line) ?? [];
    const name = key.replace(/\{.*$/, "");
    const base = name.replace(/_(?:bucket|sum|count)$/, "");
    if (!(name in METRICS || base in METRICS) || Number.isNaN(Number(value))) {
      throw new Error(`no sample of a metric in the table: ${line}`);
    }
    samples.set(key, Number(value));
  }
  return samples;
}

/** Names of the metrics that have samples. */
export function namesOf(samples: Samples): Set<string> {
  return new Set([...samples.keys()].map((key) => key.replace(/(?:_bucket|_sum|_count)?(?:\{.*)?$/, "")));
}

/** Names of this project's metrics in a text: a dashboard, rules, a document. */
export function metricsIn(text: string): Set<string> {
  const names = text.match(/\bnydus_[a-z_]+\b(?!\.)|\bprocess_[a-z_]+\b/g) ?? [];
  return new Set(names.map((name) => name.replace(/_(?:bucket|sum|count)$/, "")));
}
