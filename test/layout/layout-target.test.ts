import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { digestHex } from "#src/base/digest.js";
import { openLayoutSource } from "#src/layout/layout-source.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { describeImagePlace, writeImage } from "../conformance/image-place.ts";
import { madeBlob, madeImage } from "../support/made-image.ts";

describeImagePlace("an OCI layout", async () => {
  const directory = await mkdtemp(join(tmpdir(), "layout-"));
  return {
    source: ({ tag }) => openLayoutSource(directory, tag),
    target: (tag) => new LayoutTarget(directory, { tag }),
    readsByDigest: false,
    sharesBlobs: true,
    leftovers: async () => {
      const files = await readdir(directory, { recursive: true });
      return files.filter((path) => path.includes(".nydus-tmp-"));
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
});

describe("LayoutTarget", () => {
  const signal = new AbortController().signal;
  const image = madeImage([10], { os: "linux", architecture: "amd64" });
  let directory = "";
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "layout-"));
  });
  after(() => rm(directory, { recursive: true }));
  const target = (tag: string): LayoutTarget => new LayoutTarget(directory, { tag });

  it("keeps other images and every field it does not know in index.json", async () => {
    const foreign = {
      ...image.manifest.descriptor,
      annotations: { "org.opencontainers.image.ref.name": "x" },
      extra: 1,
    };
    const path = join(directory, "index.json");
    await writeFile(path, JSON.stringify({ schemaVersion: 2, extra: [1], manifests: [foreign] }));
    await writeImage({ target }, "y", image);
    await writeImage({ target }, "y", image);
    const ours = { ...image.manifest.descriptor, annotations: { "org.opencontainers.image.ref.name": "y" } };
    assert.deepEqual(JSON.parse(await readFile(path, "utf8")), {
      schemaVersion: 2,
      extra: [1],
      manifests: [foreign, ours],
    });
  });

  it("writes a whole index.json when two manifests get one name at once", async () => {
    const other = madeImage([20], { os: "linux", architecture: "arm64" });
    await using both = target("z");
    await Promise.all([image, other].map((one) => both.writeManifest(one.manifest, true, { signal })));
    const { manifests } = JSON.parse(await readFile(join(directory, "index.json"), "utf8"));
    assert.equal(manifests.length, 3);
  });

  it("replaces the remains of another writer's crash", async () => {
    const blob = madeBlob(randomBytes(1000));
    const path = join(directory, "blobs", "sha256", digestHex(blob.descriptor.digest));
    await using writer = target("v");
    const open = async function* (): AsyncGenerator<Uint8Array> {
      yield blob.bytes;
    };
    await writer.writeBlob(blob.descriptor, open, { signal });
    await truncate(path, 999);
    assert.equal(await writer.hasBlob(blob.descriptor, { signal }), false);
    await writer.writeBlob(blob.descriptor, open, { signal });
    assert.deepEqual(await readFile(path), Buffer.from(blob.bytes));
  });

  it("refuses to write where a file stands in the way", async () => {
    const path = join(directory, "index.json", "below");
    const blocked = new LayoutTarget(path);
    await assert.rejects(blocked.writeManifest(image.manifest, true, { signal }), { code: "ERR_TARGET_IO" });
  });
});
