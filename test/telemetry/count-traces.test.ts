import assert from "node:assert/strict";
import { tracingChannel } from "node:diagnostics_channel";
import { describe, it } from "node:test";
import { CodedError } from "#src/base/errors.js";
import { TRACE_POINTS, type TracePoint, type Traces } from "#src/base/trace-points.js";
import { countTraces } from "#src/telemetry/count-traces.js";
import { MetricSet } from "#src/telemetry/metric-set.js";
import { parseSamples } from "../support/scraped-metrics.ts";

/** A step that ends when it is told. */
function begin<Point extends TracePoint>(point: Point, trace: Traces[Point]) {
  let end: (result?: unknown) => void = () => undefined;
  let fail: (error: unknown) => void = () => undefined;
  const work = new Promise((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  const done = tracingChannel<unknown, Traces[Point]>(TRACE_POINTS[point])
    .tracePromise(() => work, { ...trace })
    .catch(() => undefined);
  return {
    end(result?: unknown) {
      end(result);
      return done;
    },
    fail(error: unknown) {
      fail(error);
      return done;
    },
  };
}

const READ = { image: "x", nodeId: 1, offset: 0, size: 4096 };
const REQUEST = { source: "registry r.example/app", blobId: "0", offset: 0, length: 10 };
const FETCH = { source: "registry r.example/app", blobId: "0", first: 0, count: 1, class: "demand" } as const;

describe("countTraces()", () => {
  it("counts reads that wait, hang, end and fail", async () => {
    let nowMs = 0;
    const metrics = await MetricSet.load();
    using _ = countTraces(metrics, { hungReadAfterMs: 100, now: () => nowMs });
    const look = async (...keys: readonly string[]) => {
      const samples = parseSamples(await metrics.text());
      return keys.map((key) => samples.get(key));
    };
    const first = begin("read", READ);
    nowMs = 60;
    const second = begin("read", READ);
    nowMs = 101;
    assert.deepEqual(await look("nydus_reads_waiting", "nydus_reads_hung"), [2, 1]);
    await first.end();
    await second.fail(new CodedError("ERR_DEADLINE_EXCEEDED", "late"));
    assert.deepEqual(
      await look(
        "nydus_reads_waiting",
        "nydus_reads_hung",
        "nydus_read_wait_seconds_count",
        'nydus_read_wait_seconds_bucket{le="0.05"}',
        'nydus_read_failures_total{code="ERR_DEADLINE_EXCEEDED"}',
        'nydus_read_failures_total{code="ERR_CHUNK_CORRUPT"}',
      ),
      [0, 0, 2, 1, 1, 0],
    );
  });

  it("counts what sources are asked for and give, by the kind of the source", async () => {
    const metrics = await MetricSet.load();
    using _ = countTraces(metrics, { hungReadAfterMs: 100 });
    const fetches = [
      begin("fetch", { ...FETCH, unverifiedChunks: 2 }),
      begin("fetch", { ...FETCH, blobId: "1", unverifiedChunks: 0 }),
    ];
    const request = begin("request", REQUEST);
    const during = parseSamples(await metrics.text());
    await request.end(new Uint8Array(10));
    await begin("request", REQUEST).fail(new CodedError("ERR_SOURCE_UNAVAILABLE", "gone"));
    await fetches[0]?.end();
    await fetches[1]?.fail(new CodedError("ERR_CHUNK_CORRUPT", "wrong"));
    const after = parseSamples(await metrics.text());
    assert.deepEqual(
      [
        during.get('nydus_fetches_in_flight{class="demand"}'),
        during.get("nydus_fetch_queue_depth"),
        during.get('nydus_source_requests_in_flight{source="registry"}'),
        after.get('nydus_source_requests_in_flight{source="registry"}'),
        after.get('nydus_source_requests_total{source="registry",result="ok"}'),
        after.get('nydus_source_requests_total{source="registry",result="ERR_SOURCE_UNAVAILABLE"}'),
        after.get('nydus_source_bytes_total{source="registry"}'),
        after.get('nydus_source_request_seconds_count{source="registry"}'),
        after.get('nydus_verification_failures_total{source="registry"}'),
        after.get('nydus_unverified_chunks_total{source="registry"}'),
      ],
      [2, 1, 1, 0, 1, 1, 10, 1, 1, 2],
    );
  });

  it("hears nothing more once it is disposed", async () => {
    const metrics = await MetricSet.load();
    countTraces(metrics, { hungReadAfterMs: 100 })[Symbol.dispose]();
    await begin("read", READ).end();
    assert.equal(parseSamples(await metrics.text()).get("nydus_read_wait_seconds_count"), 0);
    assert.equal(tracingChannel(TRACE_POINTS.read).hasSubscribers, false);
  });
});
