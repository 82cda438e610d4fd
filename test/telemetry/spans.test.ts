import assert from "node:assert/strict";
import { tracingChannel } from "node:diagnostics_channel";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { CodedError } from "#src/base/errors.js";
import { type ReadTrace, type RequestTrace, TRACE_POINTS } from "#src/base/trace-points.js";
import { startSpans, wantsSpans } from "#src/telemetry/spans.js";
import { SpanReceiver } from "../support/span-receiver.ts";

const READS = tracingChannel<unknown, ReadTrace>(TRACE_POINTS.read);
const REQUESTS = tracingChannel<unknown, RequestTrace>(TRACE_POINTS.request);

/** A read that makes a request after a while. */
function read(image: string, request: () => Promise<unknown>): Promise<unknown> {
  const trace = { image, nodeId: 7, offset: 0, size: 4096 };
  const work = async (): Promise<unknown> => {
    await delay(2);
    return REQUESTS.tracePromise(request, { source: "directory /srv", blobId: "ab", offset: 1, length: 5 });
  };
  return READS.tracePromise(work, trace);
}

describe("startSpans()", () => {
  it("gives each read a trace of its own, with what it was about and how it ended", async () => {
    await using receiver = await SpanReceiver.start();
    const failures: unknown[] = [];
    {
      await using _ = await startSpans({
        endpoint: `${receiver.endpoint}/`,
        version: "1.2.3",
        onError: (error) => failures.push(error),
      });
      const error = new CodedError("ERR_SOURCE_UNAVAILABLE", "s3cr3t text");
      const [, failed] = await Promise.allSettled([
        read("one", async () => new Uint8Array(5)),
        read("two", () => Promise.reject(error)),
      ]);
      assert.equal(failed?.status, "rejected");
    }
    await read("three", async () => new Uint8Array(5));
    assert.deepEqual(failures, []);
    const roots = receiver.spans.filter(({ name }) => name === "nydus.read");
    const rows = roots.map((root) => {
      const [child] = receiver.spans.filter(({ parentSpanId }) => parentSpanId === root.spanId);
      assert.ok(child !== undefined);
      assert.equal(child.traceId, root.traceId);
      const { "nydus.image": image, "error.type": code } = receiver.attributesOf(root);
      return [image, code, receiver.attributesOf(child)["nydus.received_bytes"], child.status.code];
    });
    assert.deepEqual(rows.sort(), [
      ["one", undefined, 5, 0],
      ["two", "ERR_SOURCE_UNAVAILABLE", undefined, 2],
    ]);
    assert.equal(receiver.spans.length, 4);
    assert.equal(JSON.stringify(receiver.spans).includes("s3cr3t"), false);
    assert.equal(READS.hasSubscribers, false);
  });

  it("tells when a receiver takes no spans, and fails nothing", async () => {
    await using receiver = await SpanReceiver.start();
    receiver.status = 400;
    const failures: unknown[] = [];
    {
      await using _ = await startSpans({
        endpoint: receiver.endpoint,
        version: "1.2.3",
        onError: (error) => failures.push(error),
      });
      await read("one", async () => new Uint8Array(5));
    }
    assert.equal(failures.length, 1);
  });
});

describe("wantsSpans()", () => {
  it("goes by OpenTelemetry's variables", () => {
    const endpoint = "http://127.0.0.1:4318";
    assert.equal(wantsSpans({}), false);
    assert.equal(wantsSpans({ OTEL_EXPORTER_OTLP_ENDPOINT: "" }), false);
    assert.equal(wantsSpans({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }), true);
    assert.equal(wantsSpans({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint }), true);
    assert.equal(wantsSpans({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SDK_DISABLED: "TRUE" }), false);
  });
});
