/** A metric as Prometheus sees it. */
export interface MetricRow {
  readonly type: "counter" | "gauge" | "histogram";
  /** What one is; the name ends with it where Prometheus wants that. */
  readonly unit: string;
  readonly labels: readonly string[];
  readonly help: string;
  /** `stable`: name, labels and meaning stay within a major version. */
  readonly stability: "stable" | "experimental";
  /** Upper bounds, of a histogram. */
  readonly buckets?: readonly number[];
}

/** Seconds: from a chunk that a peer's disk has to the deadline of a read. */
const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * Every metric of a daemon process: docs/metrics.md is made of it. Counters start at zero with the process, but for
 * those that say otherwise. Labels have few values: never a path, an image, a blob or a host.
 */
export const METRICS = {
  nydus_fuse_requests_total: {
    type: "counter",
    unit: "requests",
    labels: [],
    help: "Requests of the kernel of any kind.",
    stability: "stable",
  },
  nydus_reads_total: {
    type: "counter",
    unit: "reads",
    labels: ["result"],
    help: "READs of the kernel: `cached` were answered at once, `waited` lacked a chunk.",
    stability: "stable",
  },
  nydus_read_bytes_total: {
    type: "counter",
    unit: "bytes",
    labels: ["result"],
    help: "Bytes of the READs: answered (`cached`) and asked for (`waited`).",
    stability: "stable",
  },
  nydus_read_wait_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: [],
    help: "Time that READs waited which lacked a chunk, failed ones included.",
    stability: "stable",
    buckets: LATENCY_BUCKETS,
  },
  nydus_read_failures_total: {
    type: "counter",
    unit: "reads",
    labels: ["code"],
    help: "READs that lacked a chunk and failed, by the code of operations.md. The reader got an error.",
    stability: "stable",
  },
  nydus_reads_waiting: {
    type: "gauge",
    unit: "reads",
    labels: [],
    help: "READs that wait for chunks now.",
    stability: "stable",
  },
  nydus_reads_hung: {
    type: "gauge",
    unit: "reads",
    labels: [],
    help: "READs that have waited for over `[http] hungReadAfter` (10 s) now.",
    stability: "stable",
  },
  nydus_cache_chunks_total: {
    type: "counter",
    unit: "chunks",
    labels: ["result"],
    help: "Chunks that waiting reads and prefetches asked the cache for: there (`hit`) or not (`miss`).",
    stability: "stable",
  },
  nydus_cache_claims_total: {
    type: "counter",
    unit: "chunks",
    labels: ["result"],
    help: "Chunks that an earlier run left in the cache, by what their digest said: `verified` or `refused`.",
    stability: "stable",
  },
  nydus_cache_written_bytes_total: {
    type: "counter",
    unit: "bytes",
    labels: [],
    help: "Decoded bytes written to the cache.",
    stability: "stable",
  },
  nydus_cache_size_bytes: {
    type: "gauge",
    unit: "bytes",
    labels: [],
    help: "Bytes that the cache directory takes on the disk; looked up at most every 15 s.",
    stability: "stable",
  },
  nydus_cache_free_bytes: {
    type: "gauge",
    unit: "bytes",
    labels: [],
    help: "Bytes that are free on the disk of the cache directory.",
    stability: "stable",
  },
  nydus_cache_blobs: {
    type: "gauge",
    unit: "blobs",
    labels: ["state"],
    help: "Blobs in the cache directory: of a mounted image (`mounted`) or of none (`idle`).",
    stability: "stable",
  },
  nydus_source_requests_total: {
    type: "counter",
    unit: "requests",
    labels: ["source", "result"],
    help: "Ranges of blobs that were asked of a source; `result` is `ok` or a code of operations.md.",
    stability: "stable",
  },
  nydus_source_bytes_total: {
    type: "counter",
    unit: "bytes",
    labels: ["source"],
    help: "Stored bytes that came from a source.",
    stability: "stable",
  },
  nydus_source_request_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: ["source"],
    help: "Time from asking a source for a range to its last byte, of those that came.",
    stability: "stable",
    buckets: LATENCY_BUCKETS,
  },
  nydus_source_requests_in_flight: {
    type: "gauge",
    unit: "requests",
    labels: ["source"],
    help: "Ranges that are being read now.",
    stability: "stable",
  },
  nydus_fetches_in_flight: {
    type: "gauge",
    unit: "fetches",
    labels: ["class"],
    help: "Runs of chunks that are being fetched now, for a reader (`demand`) or ahead (`prefetch`).",
    stability: "stable",
  },
  nydus_fetch_queue_depth: {
    type: "gauge",
    unit: "fetches",
    labels: [],
    help: "Of these, those of blobs that nothing is read of now: their turn has not come, or their chunks are being decoded and written.",
    stability: "experimental",
  },
  nydus_verification_failures_total: {
    type: "counter",
    unit: "fetches",
    labels: ["source"],
    help: "Fetches that ended with bytes that do not decode or do not match their digest. They were not kept.",
    stability: "stable",
  },
  nydus_unverified_chunks_total: {
    type: "counter",
    unit: "chunks",
    labels: ["source"],
    help: "Chunks given out that the image has no digest for.",
    stability: "stable",
  },
  nydus_http_responses_total: {
    type: "counter",
    unit: "responses",
    labels: ["status"],
    help: "Answers to requests over HTTP, logins and manifests included; `none` when no answer came.",
    stability: "stable",
  },
  nydus_http_received_bytes_total: {
    type: "counter",
    unit: "bytes",
    labels: [],
    help: "Bytes that came over HTTP, headers included.",
    stability: "stable",
  },
  nydus_mounts: {
    type: "gauge",
    unit: "mounts",
    labels: ["engine"],
    help: "Mounts of images, by engine.",
    stability: "stable",
  },
  nydus_images: {
    type: "gauge",
    unit: "images",
    labels: ["state"],
    help: "Images: `served`, or `failed` to open at the start.",
    stability: "stable",
  },
  nydus_stale_mounts: {
    type: "gauge",
    unit: "mounts",
    labels: [],
    help: "Mounts that died with an earlier supervisor and that somebody still uses: their containers must be restarted.",
    stability: "stable",
  },
  nydus_workers: {
    type: "gauge",
    unit: "threads",
    labels: [],
    help: "Threads that answer the kernel now.",
    stability: "stable",
  },
  nydus_takeovers_total: {
    type: "counter",
    unit: "takeovers",
    labels: [],
    help: "Daemon processes that took over from another one, since the supervisor started.",
    stability: "stable",
  },
  nydus_daemon_starts_total: {
    type: "counter",
    unit: "processes",
    labels: [],
    help: "Daemon processes that the supervisor has started, this one included.",
    stability: "stable",
  },
  nydus_ready: {
    type: "gauge",
    unit: "boolean",
    labels: [],
    help: "1 when `/readyz` says yes.",
    stability: "stable",
  },
  nydus_build_info: {
    type: "gauge",
    unit: "1",
    labels: ["version", "node"],
    help: "Always 1; the labels tell what runs.",
    stability: "stable",
  },
  nydus_process_pss_bytes: {
    type: "gauge",
    unit: "bytes",
    labels: ["process"],
    help: "Proportional set size of `daemon` and `supervisor`: their sum counts no shared page twice.",
    stability: "stable",
  },
  nydus_event_loop_delay_seconds: {
    type: "gauge",
    unit: "seconds",
    labels: [],
    help: "Longest time since the last scrape that the main thread was late.",
    stability: "experimental",
  },
  process_cpu_seconds_total: {
    type: "counter",
    unit: "seconds",
    labels: [],
    help: "CPU time of the daemon process, all threads.",
    stability: "stable",
  },
  process_resident_memory_bytes: {
    type: "gauge",
    unit: "bytes",
    labels: [],
    help: "Resident set size of the daemon process.",
    stability: "stable",
  },
  process_start_time_seconds: {
    type: "gauge",
    unit: "seconds",
    labels: [],
    help: "When the daemon process started, since 1970.",
    stability: "stable",
  },
  process_open_fds: {
    type: "gauge",
    unit: "files",
    labels: [],
    help: "Open files of the daemon process.",
    stability: "stable",
  },
} as const satisfies Record<string, MetricRow>;

export type MetricName = keyof typeof METRICS;

/** The labels of a metric, all of them. */
export type MetricLabels<Name extends MetricName> = Readonly<
  Record<(typeof METRICS)[Name]["labels"][number], string>
>;

/** Names of the metrics of one type. */
export type MetricOf<Type extends MetricRow["type"]> = {
  [Name in MetricName]: (typeof METRICS)[Name]["type"] extends Type ? Name : never;
}[MetricName];
