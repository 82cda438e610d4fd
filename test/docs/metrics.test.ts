import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { EVENTS } from "#src/telemetry/events.js";
import { METRICS } from "#src/telemetry/metrics.js";
import { ROOT } from "../support/fixtures.ts";
import { metricsIn } from "../support/scraped-metrics.ts";

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

describe("docs/metrics.md", () => {
  it("is what the tables of the program say", () => {
    const script = join(ROOT, "scripts/generate-metrics-docs.mjs");
    const { status, stderr } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
  });
});

describe("the table of events", () => {
  it("has no event that nothing writes", () => {
    const source = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && path !== "telemetry/events.ts")
      .map((path) => read(join("src", path)))
      .join("\n");
    const isWritten = (event: string): boolean =>
      source.includes(`"${event}"`) || source.includes(`reportFailure("${event.replace(/\.failed$/, "")}"`);
    assert.deepEqual(
      Object.keys(EVENTS).filter((event) => !isWritten(event)),
      [],
    );
  });
});

describe("dashboard, alerts and operations.md", () => {
  for (const path of [
    "deploy/grafana/nydus-daemon.json",
    "deploy/prometheus/alerts.yml",
    "docs/operations.md",
  ]) {
    it(`${path} names only metrics that exist`, () => {
      const named = metricsIn(read(path));
      assert.ok(named.size > 0);
      assert.deepEqual(
        [...named].filter((name) => !(name in METRICS)),
        [],
      );
    });
  }

  it("have an alert or a panel for every stable metric but nydus_build_info", () => {
    const shown = metricsIn(read("deploy/grafana/nydus-daemon.json") + read("deploy/prometheus/alerts.yml"));
    const unseen = Object.keys(METRICS).filter((name) => !shown.has(name));
    assert.deepEqual(unseen, []);
  });
});
