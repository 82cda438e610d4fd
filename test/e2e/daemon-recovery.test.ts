import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { addon } from "#src/native/addon.js";
import { startInFlightRead } from "../support/in-flight-read.ts";
import { shell, skipFuse } from "../support/mounted-image.ts";
import { NodeDaemon } from "../support/node-daemon.ts";
import { convertTree, writeRandomTree } from "../support/random-tree.ts";
import { TestRegistry } from "../support/registry.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { VerifiedLoad } from "../support/verified-load.ts";

const skip = skipFuse || (addon() === undefined ? "the node daemon needs the native addon" : false);

const NO_ERRORS = { errors: {}, wrong: 0 };

describe("nydus-daemon, when processes die", { skip }, () => {
  let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
  let registry: TestRegistry;
  let original: string;
  let names: string[];
  let image: string;

  before(async () => {
    folder = await temporaryDirectory();
    registry = await TestRegistry.start();
    original = join(folder.path, "original");
    names = writeRandomTree(original, 24, 2_500_000);
    image = `${registry.host}/app:nydus`;
    await convertTree(original, image);
  });
  after(async () => {
    await registry[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  /** Files that no load reads, farther from it and from each other than is ever read ahead. */
  const farName = (index: number): string => names[index * 5 + 9] ?? "";
  const nearNames = (): string[] => names.slice(0, 4);

  for (const engine of ["erofs", "fuse"] as const) {
    it(`loses no read in flight when the daemon is killed, three times (${engine})`, async () => {
      await using node = new NodeDaemon();
      await node.start();
      const { mountpoint } = await node.mount({ image, engine });
      const load = await VerifiedLoad.start(mountpoint, original, 4, nearNames());
      for (let round = 0; round < 3; round++) {
        const read = await startInFlightRead(registry, mountpoint, original, farName(round));
        assert.equal(read.isOver(), false);
        const pid = await node.killDaemon();
        await node.successorOf(pid);
        assert.equal(read.isOver(), false);
        read.release();
        assert.deepEqual(await read.ended, { status: 0, stderr: "", isRight: true });
      }
      const { reads, longestMs, ...bad } = await load.stop();
      assert.deepEqual(bad, NO_ERRORS);
      assert.ok(reads > 0 && longestMs < 30_000, `${reads} reads, the slowest took ${longestMs} ms`);
      assert.equal((await node.status()).takeovers, 3);
    });
  }

  it("loses no read in flight in an upgrade, three times", async () => {
    await using node = new NodeDaemon();
    await node.start();
    const { mountpoint } = await node.mount({ image });
    const load = await VerifiedLoad.start(mountpoint, original, 4, nearNames());
    for (let round = 0; round < 3; round++) {
      const read = await startInFlightRead(registry, mountpoint, original, farName(round));
      const pid = await node.daemonPid();
      process.kill(node.supervisorPid, "SIGUSR2");
      await delay(500);
      assert.equal(read.isOver(), false);
      read.release();
      assert.deepEqual(await read.ended, { status: 0, stderr: "", isRight: true });
      await node.successorOf(pid);
    }
    const { reads, longestMs, ...bad } = await load.stop();
    assert.deepEqual(bad, NO_ERRORS);
    assert.ok(reads > 0 && longestMs < 30_000, `${reads} reads, the slowest took ${longestMs} ms`);
  });

  for (const both of [false, true]) {
    const what = both ? "the supervisor and the daemon are" : "the supervisor is";
    it(`fails reads when ${what} killed, and the next start makes the mounts again`, async () => {
      await using node = new NodeDaemon();
      await node.start();
      const { mountpoint } = await node.mount({ image });
      const other = await node.mount({ image, engine: "fuse" });
      const read = await startInFlightRead(registry, mountpoint, original, farName(0));
      if (both) await node.killDaemon();
      await node.stop("SIGKILL");
      const { status, stderr, isRight } = await read.ended;
      assert.deepEqual({ status, isRight }, { status: 1, isRight: false });
      assert.match(stderr, /Input\/output error|Software caused connection abort|not connected/);
      read.release();
      const dead = await shell(`cat ${other.mountpoint}/${farName(1)}`);
      assert.equal(dead.status, 1);

      await node.start();
      const rows = await node.until(async () => {
        const { images } = await node.status();
        return images.length === 1 && images[0];
      });
      assert.deepEqual(rows.mounts.map((mount) => mount.engine).sort(), ["erofs", "fuse"]);
      for (const place of [mountpoint, other.mountpoint]) {
        const { stdout, stderr: problem } = await shell(`cd ${place} && sha256sum ${names.join(" ")}`);
        const wanted = await shell(`cd ${original} && sha256sum ${names.join(" ")}`);
        assert.deepEqual({ stdout, problem }, { stdout: wanted.stdout, problem: "" });
      }
    });
  }

  it("fails reads when nobody takes over in time, and then serves again", async () => {
    await using node = new NodeDaemon('takeoverDeadline = "1s"\n');
    await node.start();
    const { mountpoint } = await node.mount({ image });
    const read = await startInFlightRead(registry, mountpoint, original, farName(0));
    // A successor that cannot read its state file does not start.
    await shell(
      `mv ${node.state}/state.json ${node.state}/kept; echo '{"version":99}' > ${node.state}/state.json`,
    );
    await node.killDaemon();
    const { status, isRight } = await read.ended;
    assert.deepEqual({ status, isRight }, { status: 1, isRight: false });
    read.release();
    await shell(`mv ${node.state}/kept ${node.state}/state.json`);
    await node.until(async () => (await node.status()).images.length === 1);
    const { stdout, stderr } = await shell(`cmp ${mountpoint}/${farName(0)} ${original}/${farName(0)}`);
    assert.deepEqual({ stdout, stderr }, { stdout: "", stderr: "" });
    assert.match(node.log, /"event":"connection.aborted"/);
    assert.match(node.log, /ERR_STATE_TOO_NEW/);
  });
});
