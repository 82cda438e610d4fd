import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { addon } from "#src/native/addon.js";
import { ROOT } from "../support/fixtures.ts";
import { freePort } from "../support/free-port.ts";
import { shell, skipFuse } from "../support/mounted-image.ts";
import { NodeDaemon } from "../support/node-daemon.ts";
import { convertTree, writeRandomTree } from "../support/random-tree.ts";
import { TestRegistry } from "../support/registry.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const skipPrometheus =
  spawnSync("promtool", ["--version"]).error === undefined
    ? false
    : "prometheus is not installed: scripts/setup test";
const skip =
  skipFuse || (addon() === undefined ? "the node daemon needs the native addon" : false) || skipPrometheus;

/** Short, so that the test is; a rate needs two scrapes in its window. */
const SCRAPE_INTERVAL = "300ms";
const RATE_INTERVAL = "6s";
const PATIENCE_MS = 20_000;

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
}

const dashboard = JSON.parse(
  readFileSync(join(ROOT, "deploy/grafana/nydus-daemon.json"), "utf8"),
) as Dashboard;

/** An expression as Grafana sends it. */
function filledIn(expr: string): string {
  return expr
    .replaceAll("$__rate_interval", RATE_INTERVAL)
    .replaceAll("$__range", RATE_INTERVAL)
    .replaceAll("$instance", ".*");
}

/** Debian's Prometheus over one target, with the rules of deploy/. */
class Prometheus implements AsyncDisposable {
  readonly #child: ReturnType<typeof spawn>;
  readonly #url: string;

  private constructor(child: ReturnType<typeof spawn>, url: string) {
    this.#child = child;
    this.#url = url;
  }

  static async start(folder: string, target: string): Promise<Prometheus> {
    const file = join(folder, "prometheus.yml");
    const address = `127.0.0.1:${await freePort()}`;
    writeFileSync(
      file,
      `global: { scrape_interval: ${SCRAPE_INTERVAL}, evaluation_interval: ${SCRAPE_INTERVAL} }
rule_files: ["${join(ROOT, "deploy/prometheus/alerts.yml")}"]
scrape_configs:
  - job_name: nydus
    static_configs: [{ targets: ["${target}"] }]
`,
    );
    const args = [
      `--config.file=${file}`,
      `--storage.tsdb.path=${folder}/tsdb`,
      `--web.listen-address=${address}`,
    ];
    const child = spawn("prometheus", args, { stdio: "ignore" });
    return new Prometheus(child, `http://${address}`);
  }

  /** The result of an instant query; undefined while Prometheus does not answer yet. */
  async query(expr: string): Promise<readonly { readonly value: readonly [number, string] }[] | undefined> {
    const url = `${this.#url}/api/v1/query?query=${encodeURIComponent(expr)}`;
    const response = await fetch(url).catch(() => undefined);
    if (response === undefined || response.status === 503) return undefined;
    const { status, data, error } = (await response.json()) as {
      status: string;
      error?: string;
      data: { result: readonly { readonly value: readonly [number, string] }[] };
    };
    assert.equal(status, "success", `${expr}: ${error}`);
    return data.result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await ended;
  }
}

describe("deploy/prometheus", { skip: skipPrometheus }, () => {
  for (const args of [
    ["check", "rules", "alerts.yml"],
    ["test", "rules", "alerts.test.yml"],
  ]) {
    it(`passes promtool ${args.join(" ")}`, () => {
      const cwd = join(ROOT, "deploy/prometheus");
      const { status, stdout, stderr } = spawnSync("promtool", args, { cwd, encoding: "utf8" });
      assert.equal(status, 0, stdout + stderr);
    });
  }
});

describe("deploy/grafana/nydus-daemon.json", { skip }, () => {
  it("has no panel without data over Prometheus and a daemon under load", async () => {
    await using folder = await temporaryDirectory();
    await using registry = await TestRegistry.start();
    const original = join(folder.path, "original");
    const names = writeRandomTree(original, 12, 300_000);
    const image = `${registry.host}/app:nydus`;
    await convertTree(original, image);
    const target = `127.0.0.1:${await freePort()}`;
    await using node = new NodeDaemon(
      `readDeadline = "1s"\n[http]\nlisten = "${target}"\nhungReadAfter = "100ms"\n`,
    );
    await node.start();
    const mountpoint = node.newMountpoint();
    await using prometheus = await Prometheus.start(folder.path, target);

    let isOver = false;
    // Mounts over an empty cache, again and again: there is always something to fetch.
    const load = async (): Promise<void> => {
      while (!isOver) {
        rmSync(node.cache, { recursive: true, force: true });
        mkdirSync(node.cache);
        await node.until(() => node.mount({ image, engine: "fuse" }, mountpoint));
        for (const name of names) await shell(`cat ${join(mountpoint, name)} >/dev/null`);
        // A daemon that is killed may have unmounted already, and cannot say so any more.
        await node.until(async () => {
          if ((await node.status()).images.length > 0) await node.unmount(mountpoint);
          return true;
        });
      }
    };
    registry.faults.failNext.push(500, 500);
    const loading = load();
    try {
      await assertData(prometheus);
      await node.successorOf(await node.killDaemon());
      const expr = filledIn(dashboard.annotations.list[0]?.expr ?? "").replace("[1m]", `[${RATE_INTERVAL}]`);
      await node.until(async () => ((await prometheus.query(expr)) ?? []).length > 0);
      await node.until(
        async () => ((await prometheus.query("sum(nydus_takeovers_total) == 1")) ?? []).length > 0,
      );
      assert.deepEqual(await prometheus.query('ALERTS{alertname="NydusCorruptChunks"}'), []);
    } finally {
      isOver = true;
      await loading;
    }
  });
});

/** Waits until every target of every panel has given numbers, each at its time: a rate lasts for a window only. */
async function assertData(prometheus: Prometheus): Promise<void> {
  const missing = new Set(
    dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => `${title}: ${expr}`)),
  );
  assert.ok(missing.size > 30);
  const end = performance.now() + PATIENCE_MS;
  while (missing.size > 0 && performance.now() < end) {
    for (const { title, targets = [] } of dashboard.panels) {
      for (const { expr } of targets) {
        if (!missing.has(`${title}: ${expr}`)) continue;
        const result = (await prometheus.query(filledIn(expr))) ?? [];
        if (result.some(({ value }) => Number.isFinite(Number(value[1]))))
          missing.delete(`${title}: ${expr}`);
      }
    }
    await delay(300);
  }
  assert.deepEqual([...missing], []);
}
