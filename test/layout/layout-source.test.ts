import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { digestHex } from "#src/base/digest.js";
import { decodeImageConfig } from "#src/format/oci/image-config.js";
import { decodeManifest } from "#src/format/oci/manifest.js";
import { openLayoutSource } from "#src/layout/layout-source.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { collect, writeImage } from "../conformance/image-place.ts";
import { fixturePath } from "../support/fixtures.ts";
import { madeImage } from "../support/made-image.ts";

const signal = new AbortController().signal;
const AMD64 = { os: "linux", architecture: "amd64" };

describe("openLayoutSource()", () => {
  for (const name of ["source", "native", "merged-platform", "referrer", "v5", "zran", "batch"]) {
    it(`reads every blob of the golden layout ${name}`, async () => {
      await using source = openLayoutSource(fixturePath("golden", "nydusify", name));
      const top = await source.resolve({ signal });
      const found = decodeManifest(top.bytes, top.descriptor.mediaType);
      const rows = found.kind === "index" ? found.manifests : [top.descriptor];
      for (const row of rows) {
        const manifest = decodeManifest(await source.readDocument(row, { signal }), row.mediaType);
        assert.ok(manifest.kind === "manifest");
        const config = decodeImageConfig(await source.readDocument(manifest.config, { signal }));
        assert.equal(config.diffIds.length, manifest.layers.length);
        for (const layer of manifest.layers) {
          assert.equal((await collect(source.openBlob(layer, { signal }))).length, layer.size);
        }
      }
    });
  }

  it("takes the untagged image, or the only one, when no tag is given", async () => {
    const directory = await mkdtemp(join(tmpdir(), "layout-"));
    try {
      const [one, two, bare] = [madeImage([1], AMD64), madeImage([2], AMD64), madeImage([3], AMD64)];
      const place = { target: (tag: string) => new LayoutTarget(directory, tag === "" ? {} : { tag }) };
      const resolved = async (): Promise<string> => {
        await using source = openLayoutSource(directory);
        return (await source.resolve({ signal })).descriptor.digest;
      };
      await writeImage(place, "one", one);
      assert.equal(await resolved(), one.manifest.descriptor.digest);
      await writeImage(place, "two", two);
      await assert.rejects(resolved(), { code: "ERR_IMAGE_NOT_FOUND" });
      await writeImage(place, "", bare);
      assert.equal(await resolved(), bare.manifest.descriptor.digest);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("refuses a pipe in the place of a blob instead of waiting for a writer", async () => {
    const directory = await mkdtemp(join(tmpdir(), "layout-"));
    try {
      const image = madeImage([1], AMD64);
      await writeImage({ target: (tag) => new LayoutTarget(directory, { tag }) }, "v1", image);
      const { descriptor } = image.config;
      const path = join(directory, "blobs", "sha256", digestHex(descriptor.digest));
      await rm(path);
      execFileSync("mkfifo", [path]);
      await using source = openLayoutSource(directory);
      await assert.rejects(source.readDocument(descriptor, { signal }), { code: "ERR_IMAGE_INVALID" });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("refuses a directory that is no layout", async () => {
    await using source = openLayoutSource(fixturePath("golden"));
    await assert.rejects(source.resolve({ signal }), { code: "ERR_IMAGE_NOT_FOUND" });
  });
});
