import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { addon } from "#src/native/addon.js";
import { fixturePath, readFixture, readJsonLines } from "../support/fixtures.ts";
import { listReadableImages, listUnsupportedImages, made } from "../support/golden-images.ts";
import { MountFolder } from "../support/mount-folder.ts";
import { comparable, listMounted, skipFuse } from "../support/mounted-image.ts";
import { recordedTimes } from "../support/recorded-times.ts";

const skip = skipFuse || (addon() === undefined ? "reading xattrs needs the native addon" : false);

/** Runs whose cache files the real nydusd left behind, of images this release reads. */
const RUNS_WITH_CACHE = ["v6-zstd-blake3"];

for (const engine of ["fuse", "erofs"]) {
  describe(`nydus-mount of a golden image by the ${engine} engine`, { skip, concurrency: 2 }, () => {
    for (const { name, args, shown } of listReadableImages()) {
      const isV5 = /v5|nydus\/repeatable/.test(name);
      if (isV5 && engine === "erofs") {
        it(`refuses ${name}, where chunks are not where metadata for the kernel would say`, async () => {
          await using folder = new MountFolder();
          const { status, stderr } = await folder.start([...args, "--engine", engine]).ended;
          assert.equal(status, 5);
          assert.match(stderr, /RAFS v5\) \[ERR_MOUNT_FAILED\]/);
        });
        continue;
      }
      it(`shows of ${name} ${shown === undefined ? "files that all read" : `what ${shown} says`}`, async () => {
        await using folder = new MountFolder();
        const mount = await folder.mount([...args, "--engine", engine]);
        const rows = await listMounted(folder.mountpoint);
        const { status, stdout, stderr } = await mount.stop();
        // Nothing but the line that it is mounted: no read failed.
        assert.deepEqual(
          { status, stdout, stderr },
          { status: 0, stdout: "", stderr: `${await mount.mounted}\n` },
        );
        if (shown === undefined)
          assert.deepEqual(
            rows.filter((row) => "error" in row),
            [],
          );
        else assert.deepEqual(comparable(rows), recordedTimes(readJsonLines("golden", ...shown.split("/"))));
        assert.ok(rows.some(({ type }) => type === "file"));
      });
    }
  });
}

describe("nydus-mount of a golden image", { skip, concurrency: 2 }, () => {
  for (const { name, args, feature } of listUnsupportedImages()) {
    it(`refuses ${name}, which uses ${feature}, and mounts nothing`, async () => {
      await using folder = new MountFolder();
      const { status, stdout, stderr } = await folder.start(args).ended;
      assert.deepEqual({ status, stdout }, { status: 2, stdout: "" });
      assert.match(
        stderr,
        new RegExp(`^nydus-mount: [^\\n]*\\b${feature}\\b[^\\n]* \\[ERR_FEATURE_UNSUPPORTED\\]\\n$`),
      );
      assert.equal(await folder.mountRow(), "");
    });
  }

  for (const run of RUNS_WITH_CACHE) {
    it(`leaves the cache files of nydusd once all of ${run} was read`, async () => {
      await using folder = new MountFolder();
      const mount = await folder.mount([...made(run).args, "--engine", "fuse"]);
      await listMounted(folder.mountpoint);
      await mount.stop();
      const golden = readdirSync(fixturePath("golden", "made", run, "cache")).sort();
      assert.equal(golden.length, 3);
      for (const name of golden) {
        const expected = readFixture("golden", "made", run, "cache", name);
        if (!name.endsWith(".sha256")) {
          assert.deepEqual(readFileSync(join(folder.cache, name)), expected, name);
          continue;
        }
        const bytes = readFileSync(join(folder.cache, name.replace(/\.sha256$/, "")));
        const sha256 = createHash("sha256").update(bytes).digest("hex");
        assert.equal(sha256, Buffer.from(expected).toString().slice(0, 64), name);
      }
    });
  }
});
