import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { readBootstrap } from "#src/image/bootstrap-reader.js";
import { type WrittenBootstrap, writeBootstrap } from "#src/image/bootstrap-writer.js";
import { checkBootstrap } from "#src/image/check.js";
import { mutate } from "../fuzz/mutate.ts";
import { Random, seedOf } from "../fuzz/random.ts";
import { goldenBootstrap } from "../support/golden-blobs.ts";
import { randomImage } from "../support/random-image.ts";

const hasFsck = spawnSync("fsck.erofs", ["--version"]).error === undefined;
const skip = hasFsck ? false : "fsck.erofs (erofs-utils) is not on PATH";

describe("fsck.erofs", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "nydus-toolkit-fsck-"));
  after(() => rmSync(folder, { recursive: true }));

  /** What fsck.erofs says about a bootstrap whose devices hold zeroes. */
  function check({ bytes, blobs }: Pick<WrittenBootstrap, "bytes" | "blobs">): {
    readonly status: number | null;
    readonly output: string;
  } {
    const devices = blobs.map((blob) => {
      const path = join(folder, blob.id);
      writeFileSync(path, "");
      truncateSync(path, blob.decodedSize);
      return `--device=${path}`;
    });
    const image = join(folder, "bootstrap");
    writeFileSync(image, bytes);
    const { status, stdout, stderr } = spawnSync("fsck.erofs", [...devices, image], { encoding: "utf8" });
    return { status, output: stdout + stderr };
  }

  it("finds nothing in a written golden tree", () => {
    const { status, output } = check(
      writeBootstrap(readBootstrap(goldenBootstrap("made/v6-zstd-blake3").bytes)),
    );
    assert.equal(status, 0, output);
  });

  it("finds nothing in written random trees", () => {
    fc.assert(
      fc.property(randomImage, (image) => {
        const { status, output } = check(writeBootstrap(image));
        assert.equal(status, 0, output);
      }),
      { numRuns: 15 },
    );
  });

  it("finds nothing in damaged bootstraps in which our check finds nothing", (t) => {
    const seed = Number(process.env["FUZZ_SEED"] ?? Date.now() % 2 ** 31);
    const corpus = ["nydusify/native", "nydusify/lz4-64k"].map((name) => goldenBootstrap(name).bytes);
    let compared = 0;
    for (let index = 0; index < 400 && compared < 40; index++) {
      const bytes = mutate(corpus, new Random(seedOf(seed, index)));
      if (checkBootstrap(bytes).length > 0) continue;
      compared++;
      const { status, output } = check({ bytes, blobs: readBootstrap(bytes).blobs });
      assert.equal(status, 0, `seed ${seed} input ${index}: ${output}`);
    }
    t.diagnostic(`seed ${seed}: ${compared} accepted by both`);
    assert.ok(compared > 0);
  });

  it("finds a nid that leads nowhere", () => {
    const written = writeBootstrap(readBootstrap(goldenBootstrap("made/v6-zstd-blake3").bytes));
    // The second entry of the root directory, which lies inline behind its inode at nid 128.
    const metaOffset = new DataView(written.bytes.buffer).getUint32(1024 + 40, true) * 4096;
    new DataView(written.bytes.buffer).setUint32(metaOffset + 4096 + 64 + 2 * 12, 0x00ff_ffff, true);
    assert.notEqual(check(written).status, 0);
  });
});
