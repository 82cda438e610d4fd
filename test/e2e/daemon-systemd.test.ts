import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { addon } from "#src/native/addon.js";
import { findProgram } from "../support/docker-registry.ts";
import { ROOT } from "../support/fixtures.ts";
import { shell, skipFuse } from "../support/mounted-image.ts";
import { NodeDaemon } from "../support/node-daemon.ts";
import { convertTree, writeRandomTree } from "../support/random-tree.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { VerifiedLoad } from "../support/verified-load.ts";

const skip =
  skipFuse ||
  (addon() === undefined ? "the node daemon needs the native addon" : false) ||
  (findProgram("python3") ? false : "python3 is not installed");

/** A stand-in for systemd that keeps descriptors over the death of the supervisor. */
class FakeSystemd implements AsyncDisposable {
  said = "";
  readonly #child: ChildProcess;

  constructor(node: NodeDaemon) {
    const script = join(ROOT, "test/support/fake-systemd.py");
    const program = [process.execPath, join(ROOT, "dist/cli/nydus-daemon.js"), "--config", node.config];
    this.#child = spawn("python3", [script, join(node.path, "notify"), node.socket, ...program], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.said += text;
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      node.log += text;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.kill("SIGTERM");
    await once(this.#child, "exit");
  }
}

describe("nydus-daemon under systemd", () => {
  it("loses no read when the supervisor, or both processes, are killed", { skip }, async () => {
    await using folder = await temporaryDirectory();
    const original = join(folder.path, "original");
    writeRandomTree(original, 8, 500_000);
    await convertTree(original, `oci:${folder.path}/image:x`);
    await using node = new NodeDaemon();
    await using systemd = new FakeSystemd(node);
    const first = await node.until(() => node.status());
    assert.match(systemd.said, /^FDSTORE=1 FDNAME=fuse$/m);
    // The daemon answers before its supervisor has heard of it.
    await node.until(async () => /^READY=1 /m.test(systemd.said));
    const { mountpoint } = await node.mount({ image: `oci:${folder.path}/image:x` });
    const load = await VerifiedLoad.start(mountpoint, original, 4);
    let { supervisorPid, pid } = first;
    for (const both of [false, true]) {
      if (both) process.kill(pid, "SIGKILL");
      process.kill(supervisorPid, "SIGKILL");
      const before = supervisorPid;
      const after = await node.until(async () => {
        const status = await node.status();
        return status.supervisorPid !== before && status;
      });
      ({ supervisorPid, pid } = after);
      assert.equal(after.connection, first.connection);
      await shell("echo 3 > /proc/sys/vm/drop_caches");
      await delay(300);
    }
    const { reads, longestMs, ...bad } = await load.stop();
    assert.deepEqual(bad, { errors: {}, wrong: 0 });
    assert.ok(reads > 0 && longestMs < 30_000, `${reads} reads, the slowest took ${longestMs} ms`);
  });

  const units = join(ROOT, "deploy", "systemd");
  const noAnalyze = findProgram("systemd-analyze") ? false : "systemd-analyze is not installed";
  it("has units that systemd understands", { skip: noAnalyze }, async () => {
    await using folder = await temporaryDirectory();
    const names = readdirSync(units);
    for (const name of names) {
      // The program is not installed here.
      const text = readFileSync(join(units, name), "utf8").replace(/^ExecStart=\S+/m, "ExecStart=/bin/true");
      writeFileSync(join(folder.path, name), text);
    }
    const { status, stderr } = spawnSync(
      "systemd-analyze",
      ["verify", ...names.map((name) => join(folder.path, name))],
      { encoding: "utf8" },
    );
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
  });

  it("has units that name the paths of the default configuration", () => {
    const unit = readFileSync(join(units, "nydus-daemon.service"), "utf8");
    const socket = readFileSync(join(units, "nydus-daemon.socket"), "utf8");
    const config = readFileSync(join(ROOT, "src/app/daemon-config.ts"), "utf8");
    for (const kind of ["StateDirectory", "CacheDirectory", "RuntimeDirectory"])
      assert.match(unit, new RegExp(`^${kind}=nydus-toolkit$`, "m"));
    const [, path = "none"] = /^ListenStream=(.*)$/m.exec(socket) ?? [];
    assert.ok(config.includes(`DEFAULT_SOCKET = "${path}"`));
  });
});
