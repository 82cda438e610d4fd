import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MetricSet } from "#src/telemetry/metric-set.js";
import { METRICS, type MetricRow } from "#src/telemetry/metrics.js";
import { parseSamples } from "../support/scraped-metrics.ts";

describe("METRICS", () => {
  for (const [name, row] of Object.entries<MetricRow>(METRICS)) {
    it(`names ${name} by Prometheus' rules`, () => {
      assert.match(name, /^(?:nydus|process)_[a-z_]+$/);
      assert.equal(name.endsWith("_total"), row.type === "counter");
      if (row.unit === "bytes" || row.unit === "seconds")
        assert.match(name, new RegExp(`_${row.unit}(?:_total)?$`));
      assert.equal(row.buckets !== undefined, row.type === "histogram");
      assert.match(row.help, /\.$/);
    });
  }
});

describe("MetricSet", () => {
  it("counts, sets and observes", async () => {
    const metrics = await MetricSet.load();
    metrics.add("nydus_source_bytes_total", { source: "registry" }, 5);
    metrics.add("nydus_source_bytes_total", { source: "registry" }, 6);
    metrics.set("nydus_fuse_requests_total", {}, 100);
    metrics.set("nydus_fuse_requests_total", {}, 200);
    metrics.set("nydus_images", { state: "served" }, 3);
    metrics.set("nydus_images", { state: "served" }, 2);
    metrics.observe("nydus_read_wait_seconds", {}, 0.02);
    const samples = parseSamples(await metrics.text());
    assert.deepEqual(
      [
        'nydus_source_bytes_total{source="registry"}',
        "nydus_fuse_requests_total",
        'nydus_images{state="served"}',
        'nydus_read_wait_seconds_bucket{le="0.01"}',
        'nydus_read_wait_seconds_bucket{le="0.025"}',
        "nydus_read_wait_seconds_sum",
      ].map((key) => samples.get(key)),
      [11, 200, 2, 0, 1, 0.02],
    );
  });

  it("collects once for scrapes that come together, and again for later ones", async () => {
    const metrics = await MetricSet.load();
    let collected = 0;
    metrics.onScrape(() => {
      collected++;
    });
    await Promise.all([metrics.text(), metrics.text()]);
    await metrics.text();
    assert.equal(collected, 2);
  });
});
