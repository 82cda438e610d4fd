import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { requireFuseNative } from "#src/native/fuse-native.js";
import { fixturePath, readFixture, readJsonLines } from "../support/fixtures.ts";
import { made } from "../support/golden-images.ts";
import { MountFolder } from "../support/mount-folder.ts";
import { shell, skipFuse } from "../support/mounted-image.ts";
import { runCommand } from "../support/run-command.ts";

const RUN = "v6-zstd-blake3";
const IMAGE = made(RUN).args;
const LARGE = "sizes/f3145745";

const nydusMount = (...args: readonly string[]) => runCommand("nydus-mount", args);

/** What sha256sum prints of a file of the golden tree. */
function sumOf(path: string): string {
  const row = readJsonLines("golden", "made", "tree.jsonl").find((found) => found["path"] === path);
  return `${row?.["sha256"]}  -\n`;
}

/** Processes that have `text` on their command line, but for this one. */
function processesWith(text: string): number[] {
  const numbers = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return numbers.map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(text);
    } catch {
      return false;
    }
  });
}

/** Looks until `isTrue`, at most 20 s. */
async function until(isTrue: () => boolean): Promise<void> {
  for (const start = performance.now(); !isTrue(); await delay(20)) {
    if (performance.now() - start > 20_000) throw new Error("it did not come true within 20 s");
  }
}

describe("nydus-mount", { skip: skipFuse, concurrency: 2 }, () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`unmounts at ${signal} and ends with 0`, async () => {
      await using folder = new MountFolder();
      const mount = await folder.mount(IMAGE);
      assert.match(await folder.mountRow(), / ro,nosuid,nodev,relatime - (?:erofs|fuse\.nydus) /);
      const { status, stdout, stderr } = await mount.stop(signal);
      assert.deepEqual(
        { status, stdout, stderr },
        { status: 0, stdout: "", stderr: `${await mount.mounted}\n` },
      );
      assert.equal(await folder.mountRow(), "");
    });
  }

  it("ends with 130 when it is interrupted before the image is mounted", async () => {
    await using folder = new MountFolder();
    const server = createServer(() => undefined).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const mount = folder.start([`127.0.0.1:${port}/never/answers:v1`]);
    await once(server, "connection");
    const { status, stderr } = await mount.stop("SIGINT");
    server.close();
    assert.deepEqual({ status, stderr }, { status: 130, stderr: "nydus-mount: interrupted [ERR_ABORTED]\n" });
  });

  it("unmounts at SIGTERM also while the mount is in use", async () => {
    await using folder = new MountFolder();
    const mount = await folder.mount(IMAGE);
    const user = spawn("sleep", ["30"], { cwd: folder.mountpoint });
    await once(user, "spawn");
    const { status } = await mount.stop();
    user.kill();
    assert.equal(status, 0);
    assert.equal(await folder.mountRow(), "");
  });

  it("returns with --detach once the image is mounted, and leaves no process behind after --unmount", async () => {
    await using folder = new MountFolder();
    const started = await nydusMount(...IMAGE, folder.mountpoint, "--cache-dir", folder.cache, "--detach");
    assert.equal(started.status, 0, started.stderr);
    assert.equal(started.stdout, "");
    assert.match(
      started.stderr,
      /^mounted [^\n]*, engine (?:erofs: 0 of 1 blobs|fuse: not erofs: )[^\n]*\n$/,
    );
    const [server, ...others] = processesWith(folder.mountpoint);
    assert.ok(server !== undefined);
    assert.deepEqual(others, []);
    const { stdout } = await shell(`sha256sum < ${folder.mountpoint}/${LARGE}`);
    assert.equal(stdout, sumOf(LARGE));

    const ended = await nydusMount("--unmount", folder.mountpoint);
    assert.deepEqual(ended, { status: 0, stdout: "", stderr: "" });
    // Neither running nor a zombie.
    await until(() => !readdirSync("/proc").includes(String(server)));
    assert.equal(await folder.mountRow(), "");
  });

  it("fails with --detach as it does without", async () => {
    await using folder = new MountFolder();
    const args = ["oci:/nowhere", folder.mountpoint, "--cache-dir", folder.cache];
    const attached = await nydusMount(...args);
    assert.equal(attached.status, 5);
    assert.deepEqual(await nydusMount(...args, "--detach"), attached);
    // The log has the first failure now; only the second one is shown.
    assert.deepEqual(await nydusMount(...args, "--detach"), attached);
  });

  it("writes with --stats what came from where, and when", async () => {
    await using folder = new MountFolder();
    const file = join(folder.path, "stats");
    const mount = await folder.mount([...IMAGE, "--stats", file, "--engine", "fuse"]);
    await shell(`cat ${folder.mountpoint}/${LARGE}`);
    await mount.stop();
    const lines = readFileSync(file, "utf8").split("\n");
    assert.equal(lines.length, 2);
    const stats = JSON.parse(lines[0] ?? "") as Record<string, number>;
    const { mountpoint, engine, unverifiedChunks, fetchedBytes } = stats;
    assert.deepEqual(
      { mountpoint, engine, unverifiedChunks },
      { mountpoint: folder.mountpoint, engine: "fuse", unverifiedChunks: 0 },
    );
    assert.deepEqual(Object.values(stats["bytesBySource"] ?? {}), [fetchedBytes]);
    for (const name of ["requests", "fetchedBytes", "misses"]) assert.ok((stats[name] ?? 0) > 0, name);
    // Of 64 KiB; small gaps between them are fetched too.
    assert.ok((stats["fetchedChunks"] ?? 0) >= Math.ceil(3_145_745 / 65_536));
    const { mountedAfterMs, firstReadAfterMs, unmountedAfterMs } = stats;
    const times = [0, mountedAfterMs, firstReadAfterMs, unmountedAfterMs] as number[];
    assert.deepEqual(
      times,
      [...times].sort((left, right) => left - right),
    );
    assert.ok(times.every((time) => Number.isSafeInteger(time) && time < 60_000));
  });

  it("prints the stats on stdout for --stats -, without a first read when there was none", async () => {
    await using folder = new MountFolder();
    const mount = await folder.mount([...IMAGE, "--stats", "-"]);
    const { stdout } = await mount.stop();
    const stats = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual([stats["fetchedChunks"], "firstReadAfterMs" in stats], [0, false]);
  });

  it("prints with --json a line when it is mounted and one when it is unmounted", async () => {
    await using folder = new MountFolder();
    const mount = folder.start([...IMAGE, "--json"]);
    await until(() => mount.stdout !== "");
    const { status, stdout, stderr } = await mount.stop();
    const types = stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { type: string }).type);
    assert.deepEqual({ status, types, stderr }, { status: 0, types: ["mounted", "unmounted"], stderr: "" });
  });

  it("ends when umount(8) takes the mount away", async () => {
    await using folder = new MountFolder();
    const mount = await folder.mount(IMAGE);
    assert.equal((await shell(`umount ${folder.mountpoint}`)).status, 0);
    assert.equal((await mount.ended).status, 0);
  });

  it("refuses with 5 to unmount what is in use, which lives on", async () => {
    await using folder = new MountFolder();
    await folder.mount(IMAGE);
    const user = spawn("sleep", ["30"], { cwd: folder.mountpoint });
    await once(user, "spawn");
    const { status, stderr } = await nydusMount("--unmount", folder.mountpoint);
    user.kill();
    assert.equal(status, 5);
    assert.match(stderr, /^nydus-mount: unmounting [^\n]*EBUSY[^\n]* \[ERR_MOUNT_FAILED\]\n$/);
    assert.equal((await shell(`sha256sum < ${folder.mountpoint}/${LARGE}`)).stdout, sumOf(LARGE));
  });

  it("mounts by erofs what --prefetch all has fetched, and ends when umount(8) takes that away", async (context) => {
    await using folder = new MountFolder();
    const mount = await folder.mount([...IMAGE, "--prefetch", "all"]);
    const map = readdirSync(fixturePath("golden", "made", RUN, "cache")).find((name) =>
      name.endsWith("_map"),
    );
    const whole = Buffer.from(readFixture("golden", "made", RUN, "cache", map ?? ""));
    const written = join(folder.cache, map ?? "");
    await until(() => existsSync(written) && readFileSync(written).equals(whole));
    await mount.stop();
    const second = await folder.mount(IMAGE);
    const line = await second.mounted;
    if (/: not erofs: /.test(line)) return context.skip(line);
    assert.match(line, /, engine erofs: every blob is complete in the cache, /);
    assert.equal((await shell(`sha256sum < ${folder.mountpoint}/${LARGE}`)).stdout, sumOf(LARGE));
    assert.equal((await shell(`umount ${folder.mountpoint}`)).status, 0);
    assert.equal((await second.ended).status, 0);
  });

  for (const how of ["SIGTERM", "umount(8)"]) {
    it(`mounts by fuse-native when asked to, and ends by ${how}`, async (context) => {
      try {
        requireFuseNative();
      } catch (error) {
        return context.skip((error as Error).message);
      }
      await using folder = new MountFolder();
      const mount = await folder.mount([...IMAGE, "--engine", "fuse-native"]);
      assert.equal((await shell(`sha256sum < ${folder.mountpoint}/${LARGE}`)).stdout, sumOf(LARGE));
      if (how === "SIGTERM") mount.kill("SIGTERM");
      else assert.equal((await shell(`umount ${folder.mountpoint}`)).status, 0);
      const { status, stderr } = await mount.ended;
      assert.deepEqual({ status, stderr }, { status: 0, stderr: `${await mount.mounted}\n` });
      assert.equal(await folder.mountRow(), "");
    });
  }
});
