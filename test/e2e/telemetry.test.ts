import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { addon } from "#src/native/addon.js";
import { EVENTS } from "#src/telemetry/events.js";
import { METRICS } from "#src/telemetry/metrics.js";
import { startInFlightRead } from "../support/in-flight-read.ts";
import { shell, skipFuse } from "../support/mounted-image.ts";
import { NodeDaemon } from "../support/node-daemon.ts";
import { convertTree, writeRandomTree } from "../support/random-tree.ts";
import { TestRegistry } from "../support/registry.ts";
import { namesOf, parseSamples, type Samples } from "../support/scraped-metrics.ts";
import { SpanReceiver } from "../support/span-receiver.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const skip = skipFuse || (addon() === undefined ? "the node daemon needs the native addon" : false);

/** Lines of JSON that a daemon wrote. */
function eventsOf(node: NodeDaemon): Record<string, unknown>[] {
  return node.log
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Where the daemon that runs now answers. */
function addressOf(node: NodeDaemon): string {
  const told = eventsOf(node).findLast(({ event }) => event === "http.listening");
  return `http://${told?.["address"]}`;
}

async function scrape(node: NodeDaemon): Promise<Samples> {
  return parseSamples(await (await fetch(`${addressOf(node)}/metrics`)).text());
}

describe("the telemetry of nydus-daemon", { skip }, () => {
  let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
  let registry: TestRegistry;
  let original: string;
  let names: string[];
  let image: string;

  before(async () => {
    folder = await temporaryDirectory();
    registry = await TestRegistry.start();
    original = join(folder.path, "original");
    names = writeRandomTree(original, 24, 1_500_000);
    image = `${registry.host}/app:nydus`;
    await convertTree(original, image);
  });
  after(async () => {
    await registry[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  it("counts reads, bytes by source, hung and failed reads, and take-overs", async () => {
    await using node = new NodeDaemon(
      'readDeadline = "2s"\n[http]\nlisten = "127.0.0.1:0"\nhungReadAfter = "200ms"\n',
    );
    await node.start();
    const { mountpoint } = await node.mount({ image, engine: "fuse" });
    const file = (index: number): string => join(mountpoint, names[index] ?? "");
    assert.equal(await (await fetch(`${addressOf(node)}/readyz`)).text(), "ok\n");
    assert.equal(await (await fetch(`${addressOf(node)}/healthz`)).text(), "ok\n");
    assert.equal((await fetch(`${addressOf(node)}/v1/status`)).status, 404);

    assert.equal((await shell(`cat ${file(0)} | cmp - ${join(original, names[0] ?? "")}`)).status, 0);
    const read = await scrape(node);
    assert.deepEqual(
      Object.keys(METRICS).filter((name) => !namesOf(read).has(name)),
      [],
    );
    const count = (samples: Samples, key: string): number => samples.get(key) ?? Number.NaN;
    assert.ok(count(read, 'nydus_source_bytes_total{source="registry"}') >= 1_500_000);
    assert.ok(count(read, 'nydus_source_requests_total{source="registry",result="ok"}') >= 1);
    assert.ok(count(read, 'nydus_http_responses_total{status="206"}') >= 1);
    assert.ok(count(read, "nydus_http_received_bytes_total") >= 1_500_000);
    assert.ok(count(read, 'nydus_cache_chunks_total{result="miss"}') >= 1);
    assert.ok(count(read, "nydus_cache_written_bytes_total") >= 1_500_000);
    const waited = count(read, 'nydus_reads_total{result="waited"}');
    assert.ok(waited >= 1);
    assert.equal(count(read, "nydus_read_wait_seconds_count"), waited);
    assert.deepEqual(
      ["nydus_ready", "nydus_workers", 'nydus_images{state="served"}', 'nydus_mounts{engine="fuse"}'].map(
        (key) => count(read, key),
      ),
      [1, 2, 1, 1],
    );
    assert.ok(count(read, 'nydus_process_pss_bytes{process="daemon"}') > 2 ** 24);
    assert.ok(count(read, 'nydus_process_pss_bytes{process="supervisor"}') > 2 ** 20);

    // Farther off than was read ahead for the first file.
    const held = await startInFlightRead(registry, mountpoint, original, names[16] ?? "");
    const hung = await node.until(async () => {
      const samples = await scrape(node);
      return count(samples, "nydus_reads_hung") > 0 && samples;
    });
    assert.ok(count(hung, "nydus_reads_waiting") >= count(hung, "nydus_reads_hung"));
    assert.ok(count(hung, 'nydus_source_requests_in_flight{source="registry"}') >= 1);
    assert.ok(count(hung, 'nydus_fetches_in_flight{class="demand"}') >= 1);
    assert.notEqual((await held.ended).status, 0);
    held.release();
    const late = await scrape(node);
    assert.ok(count(late, 'nydus_read_failures_total{code="ERR_DEADLINE_EXCEEDED"}') >= 1);

    // The fault is in the middle of the blob.
    registry.faults.wrongBytes = true;
    assert.notEqual((await shell(`cat ${file(12)} >/dev/null`)).status, 0);
    registry.faults.wrongBytes = false;
    const wrong = await scrape(node);
    assert.ok(count(wrong, 'nydus_verification_failures_total{source="registry"}') >= 1);
    assert.ok(count(wrong, 'nydus_read_failures_total{code="ERR_CHUNK_CORRUPT"}') >= 1);
    assert.equal(count(wrong, "nydus_takeovers_total"), 0);

    await node.successorOf(await node.killDaemon());
    const after = await node.until(() => scrape(node));
    assert.deepEqual(
      ["nydus_takeovers_total", "nydus_daemon_starts_total", "nydus_ready"].map((key) => count(after, key)),
      [1, 2, 1],
    );
  });

  it("writes events of its table, and no secret to the log, the metrics or the events", async () => {
    const secret = "hunter2-planted-secret";
    const [host] = registry.host.split("/");
    await using node = new NodeDaemon(
      `[http]\nlisten = "127.0.0.1:0"\n[registry.credentials."${host}"]\nusername = "${secret}"\npassword = "${secret}"\n`,
    );
    await node.start({ OTEL_EXPORTER_OTLP_HEADERS: `authorization=${secret}` });
    await assert.rejects(node.mount({ image: `http://someone:${secret}@registry.invalid/app:x` }));
    await node.client.setCredentials(
      { registry: "registry.invalid", credentials: { kind: "identity-token", token: secret } },
      new AbortController().signal,
    );
    registry.faults.require = "basic";
    await assert.rejects(node.mount({ image }), { code: "ERR_REGISTRY_DENIED" });
    registry.faults.require = "nothing";
    await node.mount({ image });
    await scrape(node);
    const said = [
      node.log,
      await (await fetch(`${addressOf(node)}/metrics`)).text(),
      JSON.stringify(await node.client.events(new AbortController().signal)),
    ];
    assert.deepEqual(
      said.map((text) => text.includes(secret)),
      [false, false, false],
    );
    await node.stop();
    for (const { event, level, timeMs } of eventsOf(node)) {
      assert.equal(level, EVENTS[event as keyof typeof EVENTS].level);
      assert.equal(typeof timeMs, "number");
    }
  });

  it("says why it answers nowhere when its address is taken, and serves all the same", async () => {
    const port = new URL(`http://${registry.host}`).port;
    await using node = new NodeDaemon(`[http]\nlisten = "127.0.0.1:${port}"\n`);
    await node.start();
    const { mountpoint } = await node.mount({ image });
    assert.equal((await shell(`diff -r ${mountpoint} ${original}`)).status, 0);
    const failed = eventsOf(node).find(({ event }) => event === "http.failed");
    assert.deepEqual(
      [failed?.["code"], failed?.["message"]],
      ["ERR_TARGET_IO", `address 127.0.0.1:${port}: EADDRINUSE`],
    );
  });

  it("traces a read from the page fault to the registry", async () => {
    await using receiver = await SpanReceiver.start();
    await using node = new NodeDaemon();
    await node.start({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint, OTEL_BSP_SCHEDULE_DELAY: "100" });
    const { mountpoint } = await node.mount({ image, engine: "fuse" });
    assert.equal((await shell(`cat ${join(mountpoint, names[0] ?? "")} >/dev/null`)).status, 0);
    const chain = ["exchange", "request", "fetch", "ensure", "read"].map((point) => `nydus.${point}`);
    const isWhole = () => receiver.spans.find((span) => receiver.chainOf(span).join() === chain.join());
    const leaf = await node.until(async () => isWhole());
    const {
      "http.response.status_code": status,
      "http.response.size": size,
      ...rest
    } = receiver.attributesOf(leaf);
    assert.equal(Number(status), 206);
    assert.ok(Number(size) > 0);
    assert.equal(rest["http.request.method"], "GET");
    assert.equal(rest["server.address"], registry.host);
    assert.match(String(rest["url.path"]), /^\/v2\/app\/blobs\/sha256:[0-9a-f]{64}$/);
    const request = receiver.spans.find(({ spanId }) => spanId === leaf.parentSpanId);
    assert.ok(request !== undefined);
    const received = Number(receiver.attributesOf(request)["nydus.received_bytes"]);
    assert.ok(received > 0 && received < Number(size));
    assert.deepEqual(
      [receiver.resources.get("service.name"), receiver.resources.get("service.version")],
      [
        "nydus-daemon",
        JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")).version,
      ],
    );
  });
});
