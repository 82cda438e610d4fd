import {
  type TracingChannel,
  type TracingChannelSubscribers,
  tracingChannel,
} from "node:diagnostics_channel";
import { type ErrorCode, isCoded } from "../base/errors.ts";
import { TRACE_POINTS, type TracePoint, type Traces } from "../base/trace-points.ts";
import type { MetricSet } from "./metric-set.ts";

/** Why reads fail for the most part. They are there from the start: Prometheus sees no rise in what was not there. */
const READ_FAILURES = [
  "ERR_ABORTED",
  "ERR_CACHE_IO",
  "ERR_CHUNK_CORRUPT",
  "ERR_CHUNK_NOT_FOUND",
  "ERR_DEADLINE_EXCEEDED",
  "ERR_SOURCE_UNAVAILABLE",
] as const satisfies readonly ErrorCode[];

/** How {@link countTraces} counts. */
export interface CountTracesOptions {
  /** Milliseconds after which a read that waits counts as hung. */
  readonly hungReadAfterMs: number;
  /** Milliseconds by a steady clock. @default performance.now */
  readonly now?: () => number;
}

/** What a step is told at its end. */
type Ended<Point extends TracePoint> = Traces[Point] & {
  readonly error?: unknown;
  readonly result?: unknown;
};

/** The steps of one kind that are under way. */
class UnderWay<Point extends TracePoint> implements Disposable {
  readonly #since = new Map<object, number>();
  readonly #channel: TracingChannel<unknown, Traces[Point]>;
  readonly #subscribers: TracingChannelSubscribers<Traces[Point]>;

  constructor(point: Point, now: () => number, ended: (trace: Ended<Point>, seconds: number) => void) {
    this.#channel = tracingChannel(TRACE_POINTS[point]);
    this.#subscribers = {
      start: (trace: object) => this.#since.set(trace, now()),
      asyncEnd: (trace: Ended<Point>) => {
        const since = this.#since.get(trace);
        this.#since.delete(trace);
        // One that began before anybody listened.
        if (since !== undefined) ended(trace, (now() - since) / 1000);
      },
    } as unknown as TracingChannelSubscribers<Traces[Point]>;
    this.#channel.subscribe(this.#subscribers);
  }

  /** Steps under way that a condition holds for. */
  count(is: (trace: Traces[Point], sinceMs: number) => boolean = () => true): number {
    let count = 0;
    for (const [trace, since] of this.#since) if (is(trace as Traces[Point], since)) count++;
    return count;
  }

  /** What was told of each. */
  traces(): Iterable<Traces[Point]> {
    return this.#since.keys() as Iterable<Traces[Point]>;
  }

  [Symbol.dispose](): void {
    this.#channel.unsubscribe(this.#subscribers);
  }
}

/**
 * Counts what on-demand reads go through, until disposed. Reads that are answered from the cache never come here: they
 * are counted by the threads that answer them.
 */
export function countTraces(metrics: MetricSet, options: CountTracesOptions): Disposable {
  const { hungReadAfterMs, now = () => performance.now() } = options;
  /** Kinds that were ever at work: the gauges of those go back to 0. */
  const sources = new Set<string>();
  for (const code of READ_FAILURES) metrics.add("nydus_read_failures_total", { code }, 0);
  metrics.add("nydus_read_bytes_total", { result: "waited" }, 0);
  const reads = new UnderWay("read", now, ({ size, error }, seconds) => {
    metrics.observe("nydus_read_wait_seconds", {}, seconds);
    metrics.add("nydus_read_bytes_total", { result: "waited" }, size);
    if (error !== undefined) metrics.add("nydus_read_failures_total", { code: codeOf(error) });
  });
  const fetches = new UnderWay("fetch", now, ({ source, unverifiedChunks, error }) => {
    const labels = { source: kindOf(source) };
    // Zero too: a rise from nothing is no rise to Prometheus.
    metrics.add("nydus_unverified_chunks_total", labels, unverifiedChunks);
    metrics.add("nydus_verification_failures_total", labels, isCoded(error, "ERR_CHUNK_CORRUPT") ? 1 : 0);
  });
  const requests = new UnderWay("request", now, ({ source, error, result }, seconds) => {
    const labels = { source: kindOf(source) };
    sources.add(labels.source);
    metrics.add("nydus_source_requests_total", {
      ...labels,
      result: error === undefined ? "ok" : codeOf(error),
    });
    if (!(result instanceof Uint8Array)) return;
    metrics.add("nydus_source_bytes_total", labels, result.length);
    metrics.observe("nydus_source_request_seconds", labels, seconds);
  });
  const exchanges = new UnderWay("exchange", now, ({ status, receivedBytes }) => {
    metrics.add("nydus_http_responses_total", { status: status === undefined ? "none" : String(status) });
    metrics.add("nydus_http_received_bytes_total", {}, receivedBytes);
  });
  metrics.onScrape(() => {
    const hungSince = now() - hungReadAfterMs;
    metrics.set("nydus_reads_waiting", {}, reads.count());
    metrics.set(
      "nydus_reads_hung",
      {},
      reads.count((_, since) => since < hungSince),
    );
    for (const fetchClass of ["demand", "prefetch"] as const) {
      const count = fetches.count((trace) => trace.class === fetchClass);
      metrics.set("nydus_fetches_in_flight", { class: fetchClass }, count);
    }
    const read = new Set(Array.from(requests.traces(), ({ source, blobId }) => `${blobId} ${source}`));
    const queued = fetches.count(({ source, blobId }) => !read.has(`${blobId} ${source}`));
    metrics.set("nydus_fetch_queue_depth", {}, queued);
    for (const { source } of requests.traces()) sources.add(kindOf(source));
    for (const source of sources) {
      const count = requests.count((trace) => kindOf(trace.source) === source);
      metrics.set("nydus_source_requests_in_flight", { source }, count);
    }
  });
  return {
    [Symbol.dispose]() {
      for (const underWay of [reads, fetches, requests, exchanges]) underWay[Symbol.dispose]();
    },
  };
}

/** `registry`, `directory`, …: the name of a source begins with its kind. The rest has too many values for a label. */
function kindOf(source: string): string {
  return /^[a-z0-9-]+/.exec(source)?.[0] ?? "other";
}

function codeOf(error: unknown): string {
  return isCoded(error) ? error.code : "ERR_UNCLASSIFIED";
}
