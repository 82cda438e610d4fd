/**
 * The steps of an on-demand read that somebody may want to watch: names of tracing channels of
 * node:diagnostics_channel, and what is told with each. Nobody is told anything, and nothing is made to be told, while
 * nobody listens. The folders that publish need not know who does (src/telemetry).
 */
export const TRACE_POINTS = {
  /** A READ of the kernel that lacked chunks: until its answer. {@link ReadTrace} */
  read: "nydus-toolkit:read",
  /** A run of chunks made ready in the cache. {@link EnsureTrace} */
  ensure: "nydus-toolkit:ensure",
  /** A run of chunks fetched from a source, decoded and verified. {@link FetchTrace} */
  fetch: "nydus-toolkit:fetch",
  /** A range of a blob read from a source; the result is its bytes. {@link RequestTrace} */
  request: "nydus-toolkit:request",
  /** A request over HTTP, of any kind: until the body of its answer has come. {@link ExchangeTrace} */
  exchange: "nydus-toolkit:exchange",
} as const;

export type TracePoint = keyof typeof TRACE_POINTS;

export interface ReadTrace {
  /** As the user named it. */
  readonly image: string;
  readonly nodeId: number;
  readonly offset: number;
  readonly size: number;
}

export interface EnsureTrace {
  readonly blobId: string;
  readonly first: number;
  readonly count: number;
  readonly class: "demand" | "prefetch";
}

export interface FetchTrace {
  /** Name of the source, as in messages. */
  readonly source: string;
  readonly blobId: string;
  readonly first: number;
  readonly count: number;
  readonly class: "demand" | "prefetch";
  /** Chunks given out without a digest to prove them. */
  unverifiedChunks: number;
}

export interface RequestTrace {
  readonly source: string;
  readonly blobId: string;
  readonly offset: number;
  readonly length: number;
}

export interface ExchangeTrace {
  readonly method: string;
  /** Host and port. */
  readonly host: string;
  /** Without the query, which may carry a signature. */
  readonly path: string;
  /** Absent while there is no answer. */
  status?: number;
  /** Bytes that came, the header included. */
  receivedBytes: number;
}

/** What is told with each point; the field `error` is set when the step failed. */
export interface Traces {
  readonly read: ReadTrace;
  readonly ensure: EnsureTrace;
  readonly fetch: FetchTrace;
  readonly request: RequestTrace;
  readonly exchange: ExchangeTrace;
}
