import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { addon } from "#src/native/addon.js";
import { fixturePath, ROOT, readJsonLines } from "../support/fixtures.ts";
import { comparable, listMounted, shell, skipFuse } from "../support/mounted-image.ts";
import { recordedTimes } from "../support/recorded-times.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const skip = skipFuse || (addon() === undefined ? "the daemon needs the native addon" : false);
const RUN = "v6-chunk-0x1000";
const BOOTSTRAP = fixturePath("golden", "made", RUN, "bootstrap");
const expectedRows = () => recordedTimes(readJsonLines("golden", "made", RUN, "nydusd.jsonl"));

/** Our daemon with nydusd's command line. */
class Nydusd {
  readonly folder: string;
  readonly mountpoint: string;
  readonly socket: string;
  readonly #child: ChildProcess;

  constructor(folder: string, more: readonly string[] = []) {
    this.folder = folder;
    this.mountpoint = join(folder, "mnt");
    this.socket = join(folder, "api.sock");
    mkdirSync(this.mountpoint, { recursive: true });
    const args = [
      "fuse",
      "--mountpoint",
      this.mountpoint,
      ...more,
      "--log-level",
      "info",
      "--apisock",
      this.socket,
    ];
    // Whatever nydus-snapshotter adds to it.
    args.push(
      "--log-file",
      join(folder, "log"),
      "--thread-num",
      "2",
      "--failover-policy",
      "resend",
      "--id",
      "d1",
    );
    this.#child = spawn(process.execPath, [join(ROOT, "dist/cli/nydus-daemon.js"), ...args], {
      stdio: "inherit",
    });
  }

  async ready(): Promise<void> {
    while (!existsSync(this.socket)) {
      assert.equal(this.#child.exitCode, null);
      await delay(20);
    }
  }

  async call(method: string, path: string, body?: object): Promise<{ status: number; body: unknown }> {
    const outgoing = httpRequest({ socketPath: this.socket, method, path: `/api/v1${path}`, agent: false });
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = await once(outgoing, "response");
    let text = "";
    for await (const part of response.setEncoding("utf8")) text += part;
    return { status: response.statusCode, body: text === "" ? undefined : JSON.parse(text) };
  }

  async ended(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
    return this.#child.exitCode;
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended();
  }
}

function localConfig(folder: string): string {
  return JSON.stringify({
    device: {
      backend: { type: "localfs", config: { dir: fixturePath("golden", "made", RUN) } },
      cache: { type: "blobcache", config: { work_dir: join(folder, "cache") } },
    },
    mode: "direct",
  });
}

describe("nydus-daemon fuse", { skip }, () => {
  it("answers what nydus-snapshotter asks of a shared nydusd", async () => {
    await using folder = await temporaryDirectory();
    const nydusd = new Nydusd(folder.path);
    await nydusd.ready();
    // The liveness monitor connects and says nothing.
    const silent = connect(nydusd.socket);
    const { body } = await nydusd.call("GET", "/daemon");
    const { id, state } = body as Record<string, string>;
    assert.deepEqual({ id, state }, { id: "d1", state: "RUNNING" });
    assert.deepEqual(await nydusd.call("PUT", "/daemon/start"), { status: 204, body: undefined });

    const request = { source: BOOTSTRAP, fs_type: "rafs", config: localConfig(folder.path) };
    assert.deepEqual(await nydusd.call("POST", "/mount?mountpoint=%2F7", request), {
      status: 204,
      body: undefined,
    });
    assert.deepEqual(comparable(await listMounted(join(nydusd.mountpoint, "7"))), expectedRows());
    for (const path of ["/metrics?id=%2F7", "/metrics/blobcache?id=%2F7"]) {
      assert.equal((await nydusd.call("GET", path)).status, 200);
    }
    assert.equal((await nydusd.call("GET", "/metrics/inflight")).status, 204);
    const refused = await nydusd.call("PUT", "/daemon/fuse/sendfd");
    assert.deepEqual(refused, {
      status: 501,
      body: {
        code: "ERR_FEATURE_UNSUPPORTED",
        message: "handing descriptors to a supervisor of nydusd is not supported",
      },
    });
    const outside = await nydusd.call("POST", "/mount?mountpoint=%2F..%2F..%2Fetc", request);
    assert.equal(outside.status, 400);

    assert.equal((await nydusd.call("DELETE", "/mount?mountpoint=%2F7")).status, 204);
    assert.equal((await nydusd.call("DELETE", "/mount?mountpoint=%2F7")).status, 404);
    assert.equal(silent.closed, false);
    silent.destroy();
    assert.equal((await nydusd.call("PUT", "/daemon/exit")).status, 204);
    assert.equal(await nydusd.ended(), 0);
    assert.equal((await shell(`grep ' ${folder.path}/' /proc/self/mountinfo`)).stdout, "");
  });

  it("mounts the image of its command line, and comes back over the mounts of one that was killed", async () => {
    await using folder = await temporaryDirectory();
    const config = join(folder.path, "config.json");
    writeFileSync(config, localConfig(folder.path));
    const args = ["--config", config, "--bootstrap", BOOTSTRAP];
    const first = new Nydusd(folder.path, args);
    await first.ready();
    assert.deepEqual(comparable(await listMounted(first.mountpoint)), expectedRows());
    await first.kill();
    await shell(`rm ${first.socket}`);
    const second = new Nydusd(folder.path, args);
    await second.ready();
    assert.deepEqual(comparable(await listMounted(second.mountpoint)), expectedRows());
    assert.equal((await second.call("PUT", "/daemon/exit")).status, 204);
    assert.equal(await second.ended(), 0);
    assert.equal((await shell(`grep ' ${folder.path}/' /proc/self/mountinfo`)).stdout, "");
  });
});
