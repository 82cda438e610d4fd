import { AsyncLocalStorage } from "node:async_hooks";
import { type TracingChannelSubscribers, tracingChannel } from "node:diagnostics_channel";
import type { Attributes, Span } from "@opentelemetry/api";
import type { SpanExporter } from "@opentelemetry/sdk-trace-node";
import { CodedError, isCoded } from "../base/errors.ts";
import { TRACE_POINTS, type TracePoint, type Traces } from "../base/trace-points.ts";

export interface SpansOptions {
  /** Base URL of an OTLP/HTTP receiver, as in OTEL_EXPORTER_OTLP_ENDPOINT. Absent: the OTEL_* environment says. */
  readonly endpoint?: string;
  readonly version: string;
  /** Told when spans could not be sent; they are lost. */
  readonly onError: (error: unknown) => void;
}

/** What is told at the end of a step. */
type Ended<Point extends TracePoint> = Traces[Point] & {
  readonly error?: unknown;
  readonly result?: unknown;
};

/** What spans say of the steps; names are OpenTelemetry's where it has one. */
const ATTRIBUTES: { readonly [Point in TracePoint]: (trace: Ended<Point>) => Attributes } = {
  read: ({ image, nodeId, offset, size }) => ({
    "nydus.image": image,
    "nydus.node_id": nodeId,
    "nydus.offset": offset,
    "nydus.size": size,
  }),
  ensure: ({ blobId, first, count, class: fetchClass }) => ({
    "nydus.blob": blobId,
    "nydus.first_chunk": first,
    "nydus.chunks": count,
    "nydus.class": fetchClass,
  }),
  fetch: ({ source, blobId, first, count, class: fetchClass, unverifiedChunks }) => ({
    "nydus.source": source,
    "nydus.blob": blobId,
    "nydus.first_chunk": first,
    "nydus.chunks": count,
    "nydus.class": fetchClass,
    "nydus.unverified_chunks": unverifiedChunks,
  }),
  request: ({ source, blobId, offset, length, result }) => ({
    "nydus.source": source,
    "nydus.blob": blobId,
    "nydus.offset": offset,
    "nydus.size": length,
    ...(result instanceof Uint8Array && { "nydus.received_bytes": result.length }),
  }),
  exchange: ({ method, host, path, status, receivedBytes }) => ({
    "http.request.method": method,
    "server.address": host,
    "url.path": path,
    "http.response.size": receivedBytes,
    ...(status !== undefined && { "http.response.status_code": status }),
  }),
};

/** True when the environment names a receiver of spans and does not switch OpenTelemetry off. */
export function wantsSpans(environment: Readonly<Record<string, string | undefined>>): boolean {
  const { OTEL_SDK_DISABLED, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT } = environment;
  if (OTEL_SDK_DISABLED?.toLowerCase() === "true") return false;
  return [OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT].some((url) => (url ?? "") !== "");
}

/**
 * Makes a span of every step of on-demand reads and exports them, until disposed, which sends what is left. A step that
 * joined another's fetch has no span below it: it shares that one's. Sampling and batches are as OTEL_* says.
 *
 * Loads OpenTelemetry, which takes some MiB and hooks every promise: nothing of it is there before.
 *
 * @throws {CodedError} ERR_CODEC_MISSING when its packages are not installed.
 */
export async function startSpans({ endpoint, version, onError }: SpansOptions): Promise<AsyncDisposable> {
  const { api, exporter, sdk, resources } = await loadOpenTelemetry();
  const url = endpoint === undefined ? {} : { url: `${endpoint.replace(/\/+$/, "")}/v1/traces` };
  const provider = new sdk.NodeTracerProvider({
    resource: resources
      .resourceFromAttributes({ "service.name": "nydus-daemon", "service.version": version })
      .merge(resources.detectResources({ detectors: [resources.envDetector] })),
    spanProcessors: [new sdk.BatchSpanProcessor(reporting(new exporter.OTLPTraceExporter(url), onError))],
  });
  const tracer = provider.getTracer("nydus-toolkit", version);
  const current = new AsyncLocalStorage<Span>();
  const spans = new WeakMap<object, Span>();

  const watch = <Point extends TracePoint>(point: Point): (() => void) => {
    const channel = tracingChannel<Span, Traces[Point]>(TRACE_POINTS[point]);
    channel.start.bindStore(current, (trace) => {
      const parent = current.getStore();
      const { ROOT_CONTEXT, SpanKind, trace: contexts } = api;
      const context = parent === undefined ? ROOT_CONTEXT : contexts.setSpan(ROOT_CONTEXT, parent);
      const kind = point === "exchange" ? SpanKind.CLIENT : SpanKind.INTERNAL;
      const span = tracer.startSpan(`nydus.${point}`, { kind }, context);
      spans.set(trace, span);
      return span;
    });
    const subscribers = {
      asyncEnd: (trace: Ended<Point>) => {
        const span = spans.get(trace);
        span?.setAttributes(ATTRIBUTES[point](trace));
        if (trace.error !== undefined) {
          const code = isCoded(trace.error) ? trace.error.code : "ERR_UNCLASSIFIED";
          span?.setAttribute("error.type", code).setStatus({ code: api.SpanStatusCode.ERROR });
        }
        span?.end();
      },
    } as unknown as TracingChannelSubscribers<Traces[Point]>;
    channel.subscribe(subscribers);
    return () => {
      channel.start.unbindStore(current);
      channel.unsubscribe(subscribers);
    };
  };
  const ends = (Object.keys(TRACE_POINTS) as TracePoint[]).map((point) => watch(point));
  return {
    async [Symbol.asyncDispose]() {
      for (const end of ends) end();
      // A receiver that is gone is no reason to fail.
      await provider.shutdown().catch(() => undefined);
    },
  };
}

/** An exporter whose failures are told: OpenTelemetry keeps them to itself. */
function reporting(exporter: SpanExporter, onError: (error: unknown) => void): SpanExporter {
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        if (result.error !== undefined) onError(result.error);
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
  };
}

async function loadOpenTelemetry() {
  try {
    const [api, exporter, sdk, resources] = await Promise.all([
      import("@opentelemetry/api"),
      import("@opentelemetry/exporter-trace-otlp-http"),
      import("@opentelemetry/sdk-trace-node"),
      import("@opentelemetry/resources"),
    ]);
    return { api, exporter, sdk, resources };
  } catch (cause) {
    throw new CodedError("ERR_CODEC_MISSING", "the packages of OpenTelemetry are not installed", { cause });
  }
}
