import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openArchiveSource } from "#src/layout/archive-source.js";
import { ArchiveTarget } from "#src/layout/archive-target.js";
import { describeImagePlace, writeImage } from "../conformance/image-place.ts";
import { madeImage } from "../support/made-image.ts";

describeImagePlace("OCI archives", async () => {
  const directory = await mkdtemp(join(tmpdir(), "archive-"));
  const fileOf = (tag = "v1"): string => join(directory, `${tag}.tar`);
  return {
    source: ({ tag }) => openArchiveSource(fileOf(tag), tag),
    target: (tag) => new ArchiveTarget(fileOf(tag), { tag }),
    readsByDigest: false,
    sharesBlobs: false,
    // While a target is open its blobs lie in a hidden directory: no file beside them may stay.
    leftovers: async () => {
      const files = await readdir(directory, { recursive: true });
      return files.filter((path) => path.lastIndexOf(".nydus-tmp-") > 0);
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
});

describe("ArchiveTarget", () => {
  let directory = "";
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "archive-"));
  });
  after(() => rm(directory, { recursive: true }));

  it("gives the same archive for the same image in any order, and leaves no other file", async () => {
    const image = madeImage([100, 700_000, 512], { os: "linux", architecture: "amd64" });
    const digests: string[] = [];
    for (const layers of [image.layers, [...image.layers].reverse()]) {
      const file = join(directory, "image.tar");
      await writeImage({ target: (tag) => new ArchiveTarget(file, { tag }) }, "v1", { ...image, layers });
      digests.push(
        createHash("sha256")
          .update(await readFile(file))
          .digest("hex"),
      );
    }
    assert.equal(digests[0], digests[1]);
    assert.deepEqual(await readdir(directory), ["image.tar"]);
  });
});
