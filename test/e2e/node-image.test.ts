import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { addon } from "#src/native/addon.js";
import { DockerRegistry, findProgram, NO_DOCKER_REGISTRY } from "../support/docker-registry.ts";
import { ROOT } from "../support/fixtures.ts";
import { MountFolder } from "../support/mount-folder.ts";
import { skipFuse } from "../support/mounted-image.ts";
import { runCommand } from "../support/run-command.ts";

const execute = promisify(execFile);
const script = (name: string): string => join(ROOT, "scripts", name);
const node = (name: string, ...args: readonly string[]) => execute(process.execPath, [script(name), ...args]);

const skip =
  skipFuse ||
  NO_DOCKER_REGISTRY ||
  (addon() === undefined && "comparing xattrs needs the native addon") ||
  (!findProgram("umoci") && "umoci is not installed");

describe("an image of the Node runtime that runs this test", { skip }, () => {
  it("goes from registry to registry, runs out of the lazy mount, and is what umoci unpacks", async () => {
    await using folder = new MountFolder();
    await using registry = await DockerRegistry.start();
    const layout = join(folder.path, "layout");
    await node("make-node-image.mjs", layout);
    await node("push-layout.mjs", layout, registry.host, "node", "oci");
    const image = `docker://${registry.host}/node:nydus`;
    const report = join(folder.path, "report.json");
    const converted = await runCommand("nydus-convert", [
      `docker://${registry.host}/node:oci`,
      image,
      "--report",
      report,
    ]);
    assert.deepEqual([converted.status, converted.stderr], [0, ""]);

    const stats = join(folder.path, "stats.json");
    const mount = await folder.mount([image, "--engine", "fuse", "--stats", stats]);
    const program = ["/usr/local/bin/node", "--print", "process.version"];
    const { stdout } = await execute("chroot", [folder.mountpoint, ...program]);
    assert.equal(stdout, `${process.version}\n`);
    assert.equal((await mount.stop()).status, 0);
    // It ran before all of it was there.
    const { fetchedBytes } = JSON.parse(readFileSync(stats, "utf8")) as { fetchedBytes: number };
    const { TargetImageSize: size } = JSON.parse(readFileSync(report, "utf8")) as { TargetImageSize: number };
    assert.ok(fetchedBytes > 0 && fetchedBytes < 0.9 * size, `${fetchedBytes} of ${size} bytes`);

    const original = join(folder.path, "original");
    await execute("umoci", ["raw", "unpack", "--image", `${layout}:node`, original]);
    const again = await folder.mount([image, "--engine", "fuse"]);
    const compared = await node("compare-trees.mjs", original, folder.mountpoint);
    assert.match(compared.stdout, /^\d{3,} paths compared, 0 differences\n$/);
    assert.equal((await again.stop()).status, 0);
  });
});
