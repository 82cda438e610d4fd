import type { Counter, Gauge, Histogram, Registry } from "prom-client";
import { METRICS, type MetricLabels, type MetricName, type MetricOf, type MetricRow } from "./metrics.ts";

/** Brings what is known at a scrape only. */
export type Collect = (metrics: MetricSet) => void | Promise<void>;

/** The metrics of the table {@link METRICS}, with their values. */
export class MetricSet {
  readonly #registry: Registry;
  readonly #metrics: ReadonlyMap<MetricName, Counter | Gauge | Histogram>;
  readonly #collectors: Collect[] = [];
  #scrape: Promise<string> | undefined;

  private constructor(registry: Registry, metrics: ReadonlyMap<MetricName, Counter | Gauge | Histogram>) {
    this.#registry = registry;
    this.#metrics = metrics;
  }

  /** Loads prom-client: who wants no metrics need not have it. */
  static async load(): Promise<MetricSet> {
    const { Counter, Gauge, Histogram, Registry } = await import("prom-client");
    const registry = new Registry();
    const make = (name: string, { type, help, labels, buckets }: MetricRow): Counter | Gauge | Histogram => {
      const options = { name, help, labelNames: [...labels], registers: [registry] };
      switch (type) {
        case "counter":
          return new Counter(options);
        case "gauge":
          return new Gauge(options);
        case "histogram":
          return new Histogram({ ...options, buckets: [...(buckets ?? [])] });
      }
    };
    const rows = Object.entries(METRICS) as [MetricName, MetricRow][];
    return new MetricSet(registry, new Map(rows.map(([name, row]) => [name, make(name, row)])));
  }

  /** Raises a counter. */
  add<Name extends MetricOf<"counter">>(name: Name, labels: MetricLabels<Name>, amount = 1): void {
    (this.#metrics.get(name) as Counter).inc(labels, amount);
  }

  /** Counts a value in a histogram. */
  observe<Name extends MetricOf<"histogram">>(name: Name, labels: MetricLabels<Name>, value: number): void {
    (this.#metrics.get(name) as Histogram).observe(labels, value);
  }

  /** Sets a gauge, or a counter that is counted elsewhere. */
  set<Name extends MetricOf<"counter" | "gauge">>(
    name: Name,
    labels: MetricLabels<Name>,
    value: number,
  ): void {
    const metric = this.#metrics.get(name) as Counter | Gauge;
    metric.remove(labels);
    metric.inc(labels, value);
  }

  /** Has `collect` called before each scrape. */
  onScrape(collect: Collect): void {
    this.#collectors.push(collect);
  }

  /** All metrics in Prometheus' text format. Scrapes that come while one is under way get its answer. */
  text(): Promise<string> {
    this.#scrape ??= this.#collect().finally(() => {
      this.#scrape = undefined;
    });
    return this.#scrape;
  }

  async #collect(): Promise<string> {
    await Promise.all(this.#collectors.map((collect) => collect(this)));
    return this.#registry.metrics();
  }
}
