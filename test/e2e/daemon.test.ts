import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { DEFAULT_CONFIG_TEXT } from "#src/app/daemon-config.js";
import { addon } from "#src/native/addon.js";
import { startInFlightRead } from "../support/in-flight-read.ts";
import { shell, skipFuse } from "../support/mounted-image.ts";
import { NodeDaemon } from "../support/node-daemon.ts";
import { convertTree, writeRandomTree } from "../support/random-tree.ts";
import { TestRegistry } from "../support/registry.ts";
import { runCommand } from "../support/run-command.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const skip = skipFuse || (addon() === undefined ? "the node daemon needs the native addon" : false);
const { signal } = new AbortController();

/** What a call of the control API answers, as text. */
async function get(socketPath: string, path: string): Promise<string> {
  const [response] = await once(httpRequest({ socketPath, path, agent: false }).end(), "response");
  let text = "";
  for await (const part of response.setEncoding("utf8")) text += part;
  return text;
}

describe("nydus-daemon", { skip }, () => {
  let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
  let registry: TestRegistry;
  let original: string;
  let names: string[];
  let image: string;
  let second: string;

  before(async () => {
    folder = await temporaryDirectory();
    registry = await TestRegistry.start();
    original = join(folder.path, "original");
    names = writeRandomTree(original, 6, 1_500_000);
    image = `${registry.host}/app:nydus`;
    second = `${registry.host}/other/app:nydus`;
    await convertTree(original, image);
    await convertTree(original, second);
  });
  after(async () => {
    await registry[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  const differences = async (mountpoint: string): Promise<string> =>
    (await shell(`diff -r ${mountpoint} ${original} 2>&1`)).stdout;

  it("mounts, shows and unmounts by its commands", async () => {
    await using node = new NodeDaemon();
    await node.start();
    const mountpoint = node.newMountpoint();
    const run = (...args: readonly string[]) =>
      runCommand("nydus-daemon", [...args, "--socket", node.socket]);
    const mounted = await run("mount", image, mountpoint);
    assert.equal(mounted.stderr, "");
    assert.ok(mounted.stdout.startsWith(`mounted ${image} at ${mountpoint}, engine erofs: `), mounted.stdout);
    assert.equal(await differences(mountpoint), "");

    const status = JSON.parse((await run("status", "--json")).stdout);
    assert.deepEqual(status.images[0].mounts, [{ mountpoint, engine: "erofs" }]);
    assert.ok(status.images[0].fetchedBytes >= 6 * 1_500_000);
    const table = (await run("status")).stdout;
    assert.match(table, new RegExp(`^1   erofs   \\S+ MiB +${mountpoint} +${image}$`, "m"));
    const cache = JSON.parse((await run("cache", "--json")).stdout);
    assert.deepEqual(
      cache.blobs.map(({ isMounted }: { isMounted: boolean }) => isMounted),
      [true],
    );
    assert.match((await run("events")).stdout, /Z image\.mounted image=/);
    assert.equal(statSync(node.socket).mode & 0o777, 0o600);

    assert.deepEqual(await run("unmount", mountpoint), { status: 0, stdout: "", stderr: "" });
    const again = await run("unmount", mountpoint, "--json");
    assert.deepEqual([again.status, JSON.parse(again.stderr).code], [5, "ERR_PATH_NOT_FOUND"]);
    assert.deepEqual((await node.status()).images, []);
    assert.deepEqual(readdirSync(join(node.state, "images")), []);
    assert.equal(await node.stop(), 0);
    const gone = await run("status", "--json");
    assert.deepEqual([gone.status, JSON.parse(gone.stderr).code], [5, "ERR_DAEMON_UNAVAILABLE"]);
  });

  it("serves an image once however often it is mounted, and refuses another one at its place", async () => {
    await using node = new NodeDaemon();
    await node.start();
    const [one, two] = [await node.mount({ image }), await node.mount({ image, engine: "fuse" })];
    await node.mount({ image }, one.mountpoint);
    await assert.rejects(node.mount({ image: second }, one.mountpoint), { code: "ERR_TARGET_EXISTS" });
    await assert.rejects(node.mount({ image }, "/nonexistent"), { code: "ERR_PATH_NOT_FOUND" });
    await assert.rejects(node.mount({ image: `${registry.host}/none:x` }), { code: "ERR_IMAGE_NOT_FOUND" });
    await assert.rejects(node.mount({}), { code: "ERR_OPTION_INVALID" });
    const { images } = await node.status();
    assert.deepEqual(
      images.map(({ mounts }) => mounts.map(({ mountpoint }) => mountpoint)),
      [[one.mountpoint, two.mountpoint]],
    );
    assert.equal(await differences(two.mountpoint), "");
    await node.unmount(one.mountpoint);
    assert.equal(await differences(two.mountpoint), "");
  });

  it("fetches a blob once that two images share, also when the image that brought it is gone", async () => {
    await using node = new NodeDaemon();
    await node.start();
    const [one, two] = [await node.mount({ image }), await node.mount({ image: second })];
    assert.equal((await shell(`cmp ${one.mountpoint}/${names[0]} ${original}/${names[0]}`)).status, 0);
    await node.unmount(one.mountpoint);
    assert.equal(await differences(two.mountpoint), "");
    const [{ fetchedBytes } = { fetchedBytes: 0 }] = (await node.status()).images;
    assert.ok(fetchedBytes < 6 * 1_500_000, `${fetchedBytes} bytes were fetched again`);
  });

  it("makes 50 mounts at once, takes them away while they are read, and leaves nothing behind", async () => {
    await using node = new NodeDaemon();
    await node.start();
    const places = Array.from({ length: 50 }, () => node.newMountpoint());
    await Promise.all(
      places.map((place, index) =>
        node.mount(
          { image: index % 2 === 0 ? image : second, engine: index % 4 < 2 ? "erofs" : "fuse" },
          place,
        ),
      ),
    );
    const sums = await shell(`cat ${places.map((place) => `${place}/${names[2]}`).join(" ")} | sha256sum`);
    const wanted = await shell(`cat ${places.map(() => `${original}/${names[2]}`).join(" ")} | sha256sum`);
    assert.equal(sums.stdout, wanted.stdout);
    assert.equal(await node.stop("SIGKILL"), null);
    await node.start();
    await node.until(async () => node.mountTable().length === 51);
    assert.equal(await differences(places[49] ?? ""), "");
    const reading = shell(`cat ${places.map((place) => `${place}/*`).join(" ")} > /dev/null`);
    await Promise.all(places.map((place) => node.unmount(place)));
    await reading;
    assert.equal(node.mountTable().length, 1);
    assert.equal(await node.stop(), 0);
    assert.deepEqual(node.mountTable(), []);
  });

  it("unmounts at once while a read waits for a registry that does not answer", async () => {
    await using node = new NodeDaemon();
    await node.start();
    const { mountpoint } = await node.mount({ image, engine: "fuse" });
    const read = await startInFlightRead(registry, mountpoint, original, names[0] ?? "");
    const start = performance.now();
    await node.unmount(mountpoint);
    assert.ok(performance.now() - start < 5000);
    assert.equal((await read.ended).status, 1);
    read.release();
  });

  it("comes back without a network, serves what is cached and fails what is not in time", async () => {
    const own = await TestRegistry.start();
    for (const [key, bytes] of registry.blobs) own.blobs.set(key, bytes);
    for (const [key, manifest] of registry.manifests) own.manifests.set(key, manifest);
    await using node = new NodeDaemon('readDeadline = "3s"\n');
    await node.start();
    const { mountpoint } = await node.mount({ image: `${own.host}/app:nydus`, engine: "fuse" });
    const cached = await shell(`cmp ${mountpoint}/${names[0]} ${original}/${names[0]}`);
    assert.equal(cached.status, 0);
    assert.equal(await node.stop(), 0);
    await own[Symbol.asyncDispose]();

    await node.start();
    await node.until(async () => node.mountTable().length === 2);
    assert.deepEqual(await shell(`cmp ${mountpoint}/${names[0]} ${original}/${names[0]}`), cached);
    const missing = await shell(`cat ${mountpoint}/${names[5]} > /dev/null`);
    assert.match(missing.stderr, /Input\/output error/);
  });

  it("gives the kernel the cache files once all of an image was fetched", async () => {
    await using node = new NodeDaemon();
    await node.start();
    const { mountpoint } = await node.mount({ image, prefetch: "all" });
    await node.until(async () => readdirSync(node.cache).some((name) => name.endsWith(".verified")));
    const other = await node.mount({ image });
    assert.match(other.reason ?? "", /^1 of 1 blobs are complete/);
    assert.equal(await differences(other.mountpoint), "");
    await node.client.prefetch({ mountpoint, what: "hints" }, signal);
  });

  it("lets nobody else at its folder, and refuses the state of a later release", async () => {
    await using node = new NodeDaemon();
    await node.start();
    const other = await runCommand("nydus-daemon", ["--config", node.config, "--json"]);
    assert.deepEqual([other.status, JSON.parse(other.stderr).code], [2, "ERR_DAEMON_RUNNING"]);
    await node.stop();
    const later = '{"version":2,"images":"elsewhere"}';
    writeFileSync(join(node.state, "state.json"), later);
    const older = await runCommand("nydus-daemon", ["--config", node.config, "--json"]);
    assert.deepEqual([older.status, JSON.parse(older.stderr).code], [2, "ERR_STATE_TOO_NEW"]);
    assert.equal(readFileSync(join(node.state, "state.json"), "utf8"), later);
    assert.deepEqual(node.mountTable(), []);
  });

  it("never tells secrets: not in logs, answers, errors, files or command lines", async () => {
    registry.faults.require = "basic";
    try {
      await using node = new NodeDaemon(
        '[registry.credentials."elsewhere.example"]\nusername = "pl4nted-user"\npassword = "pl4nted-password"\n',
      );
      await node.start();
      const good = { kind: "password", username: "someone", password: "secret" } as const;
      const wrong = { kind: "password", username: "someone", password: "pl4nted-wrong" } as const;
      const said: string[] = [];
      const refused = await node.mount({ image, credentials: wrong }).catch((error: Error) => error.message);
      said.push(String(refused));
      const malformed = { kind: "password", username: "someone", password: 12_345_678 } as never;
      said.push(
        (await node
          .mount({ image, credentials: malformed })
          .catch((error: Error) => error.message)) as string,
      );
      const { mountpoint } = await node.mount({ image, credentials: good });
      await node.client.setCredentials({ registry: "third.example", credentials: wrong }, signal);
      // The successor knows them all the same, and needs them.
      await node.successorOf(await node.killDaemon());
      assert.equal(await differences(mountpoint), "");
      const fresh = node.newMountpoint();
      await node.mount({ image }, fresh);
      const run = async (...args: readonly string[]): Promise<void> => {
        const { stdout, stderr } = await runCommand("nydus-daemon", args);
        said.push(stdout, stderr);
      };
      for (const command of ["status", "events", "cache", "reload"])
        await run(command, "--socket", node.socket, "--json");
      await run("config", "check", node.config);
      said.push(await get(node.socket, "/v1/config"));
      for (const pid of [node.supervisorPid, await node.daemonPid()]) {
        said.push(readFileSync(`/proc/${pid}/cmdline`, "utf8"), readFileSync(`/proc/${pid}/environ`, "utf8"));
      }
      await node.stop();
      said.push(node.log);
      for (const name of readdirSync(node.state, { recursive: true, encoding: "utf8" })) {
        const path = join(node.state, name);
        if (statSync(path).isFile()) said.push(readFileSync(path, "latin1"));
      }
      assert.ok(said.length > 12);
      const planted = /pl4nted|12345678|"secret"|:secret|c29tZW9uZTpz/;
      assert.deepEqual(
        said.filter((text) => planted.test(text)),
        [],
      );
    } finally {
      registry.reset();
    }
  });

  it("prints its default configuration", async () => {
    const printed = await runCommand("nydus-daemon", ["config", "default"]);
    assert.deepEqual(printed, { status: 0, stdout: DEFAULT_CONFIG_TEXT, stderr: "" });
  });
});
