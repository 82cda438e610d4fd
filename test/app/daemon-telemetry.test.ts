import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parseDaemonConfig } from "#src/app/daemon-config.js";
import { DaemonTelemetry } from "#src/app/daemon-telemetry.js";
import { EventLog } from "#src/node/event-log.js";
import { ROOT } from "../support/fixtures.ts";

/** Packages that a process with this configuration has loaded, of those that telemetry needs. */
function loadedWith(configuration: string, environment: Readonly<Record<string, string>> = {}): string[] {
  const program = `
    import { createRequire } from "node:module";
    import { parseDaemonConfig } from "${ROOT}/dist/app/daemon-config.js";
    import { DaemonTelemetry } from "${ROOT}/dist/app/daemon-telemetry.js";
    import { EventLog } from "${ROOT}/dist/node/event-log.js";
    import { TRACE_POINTS } from "${ROOT}/dist/base/trace-points.js";
    import { tracingChannel } from "node:diagnostics_channel";
    const config = parseDaemonConfig(${JSON.stringify(configuration)}, "test");
    const telemetry = await DaemonTelemetry.start(config, new EventLog([], undefined, () => undefined));
    const files = Object.keys(createRequire("${join(ROOT, "dist/")}").cache);
    const names = files.map((file) => /.*node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(file)?.[1]);
    const wanted = new Set(names.filter((name) => /^(?:prom-client|@opentelemetry)/.test(name ?? "")));
    const watched = Object.values(TRACE_POINTS).filter((name) => tracingChannel(name).hasSubscribers);
    console.log(JSON.stringify([...wanted].sort().concat(watched.map(() => "subscriber"))));
    process.exit();
  `;
  const { PATH = "" } = process.env;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
    env: { PATH, ...environment },
  });
  assert.equal(stderr, "");
  return JSON.parse(stdout);
}

describe("DaemonTelemetry", () => {
  it("loads nothing and listens to nothing when nothing is asked for", () => {
    assert.deepEqual(loadedWith(""), []);
    assert.deepEqual(
      loadedWith("", { OTEL_SDK_DISABLED: "true", OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" }),
      [],
    );
  });

  it("loads prom-client for metrics, and no SDK of OpenTelemetry", () => {
    const loaded = loadedWith('[http]\nlisten = "127.0.0.1:0"');
    // prom-client itself asks OpenTelemetry's API, which is types and no-ops, for exemplars.
    assert.deepEqual(
      loaded.filter((name) => name !== "subscriber"),
      ["@opentelemetry/api", "prom-client"],
    );
    assert.equal(loaded.filter((name) => name === "subscriber").length, 4);
  });

  it("loads OpenTelemetry for an endpoint, of the configuration or the environment", () => {
    for (const loaded of [
      loadedWith('[tracing]\nendpoint = "http://127.0.0.1:1"'),
      loadedWith("", { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://127.0.0.1:1/v1/traces" }),
    ]) {
      assert.ok(loaded.includes("@opentelemetry/sdk-trace-node"), String(loaded));
      assert.ok(!loaded.includes("prom-client"));
      assert.equal(loaded.filter((name) => name === "subscriber").length, 5);
    }
  });

  it("is healthy at once, and ready when it is told", async () => {
    const events = new EventLog([], undefined, () => undefined);
    const config = parseDaemonConfig('[http]\nlisten = "127.0.0.1:0"', "test");
    await using telemetry = await DaemonTelemetry.start(config, events);
    await telemetry.listen(() => undefined);
    const address = events.events.at(-1)?.["address"];
    const ask = async (path: string) => (await fetch(`http://${address}${path}`)).status;
    assert.deepEqual([await ask("/healthz"), await ask("/readyz")], [200, 503]);
    telemetry.isReady = true;
    assert.deepEqual([await ask("/readyz"), await ask("/")], [200, 404]);
  });
});
