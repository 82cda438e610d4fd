import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { digestHex } from "#src/base/digest.js";
import { decodeManifest } from "#src/format/oci/manifest.js";
import { parseReference } from "#src/format/oci/reference.js";
import { DockerArchiveSource } from "#src/layout/docker-archive-source.js";
import { collect } from "../conformance/image-place.ts";
import { findProgram } from "../support/docker-registry.ts";
import { fixturePath } from "../support/fixtures.ts";
import { sha256Of } from "../support/made-image.ts";

const signal = new AbortController().signal;
const directory = mkdtempSync(join(tmpdir(), "docker-archive-"));
after(() => rmSync(directory, { recursive: true }));

/** An archive as old versions of `docker save` wrote it: the second image's layer links to the first's. */
function savedArchive(name: string, change: (tree: string) => void = () => undefined): string {
  const tree = join(directory, name);
  const layer = Buffer.from("the bytes of a layer");
  for (const id of ["aaa", "bbb"]) mkdirSync(join(tree, id), { recursive: true });
  writeFileSync(join(tree, "aaa", "layer.tar"), layer);
  symlinkSync("../aaa/layer.tar", join(tree, "bbb", "layer.tar"));
  const config = {
    os: "linux",
    architecture: "amd64",
    rootfs: { type: "layers", diff_ids: [sha256Of(layer)] },
  };
  for (const id of ["aaa", "bbb"])
    writeFileSync(join(tree, `${id}.json`), JSON.stringify({ ...config, author: id }));
  const images = ["aaa", "bbb"].map((id) => ({
    Config: `${id}.json`,
    RepoTags: [`${id}:v1`, `host.example/${id}:latest`],
    Layers: [`${id}/layer.tar`],
  }));
  writeFileSync(join(tree, "manifest.json"), JSON.stringify(images));
  change(tree);
  execFileSync("tar", ["-cf", `${tree}.tar`, "-C", tree, "."]);
  return `${tree}.tar`;
}

describe("DockerArchiveSource", () => {
  it("presents each image by its names, with its layers found through links", async () => {
    const file = savedArchive("two");
    for (const [reference, author] of [
      ["aaa:v1", "aaa"],
      ["bbb:v1", "bbb"],
      ["host.example/bbb", "bbb"],
    ] as const) {
      await using source = new DockerArchiveSource(file, parseReference(reference));
      const top = await source.resolve({ signal });
      assert.equal(top.descriptor.digest, sha256Of(top.bytes));
      const manifest = decodeManifest(top.bytes, top.descriptor.mediaType);
      assert.ok(manifest.kind === "manifest");
      const config = await source.readDocument(manifest.config, { signal });
      assert.equal(JSON.parse(Buffer.from(config).toString()).author, author);
      const [layer] = manifest.layers;
      assert.ok(layer !== undefined);
      assert.equal((await collect(source.openBlob(layer, { signal }))).toString(), "the bytes of a layer");
      const range = await source.blobs.read(digestHex(layer.digest), 4, 5, { signal });
      assert.equal(Buffer.from(range).toString(), "bytes");
    }
  });

  it("refuses a name that is not there, and no name where there are two", async () => {
    const file = savedArchive("names");
    for (const reference of [parseReference("ccc:v1"), undefined]) {
      await using source = new DockerArchiveSource(file, reference);
      await assert.rejects(source.resolve({ signal }), { code: "ERR_IMAGE_NOT_FOUND" });
    }
    await using absent = new DockerArchiveSource(join(directory, "absent.tar"));
    await assert.rejects(absent.resolve({ signal }), { code: "ERR_IMAGE_NOT_FOUND" });
  });

  it("refuses a layer that is not what the configuration says", async () => {
    const file = savedArchive("altered", (tree) =>
      writeFileSync(join(tree, "aaa", "layer.tar"), "other bytes"),
    );
    await using source = new DockerArchiveSource(file, parseReference("aaa:v1"));
    await assert.rejects(source.resolve({ signal }), { code: "ERR_DIGEST_MISMATCH" });
  });

  it("serves others after the first caller's signal fired", async () => {
    await using source = new DockerArchiveSource(savedArchive("abort"), parseReference("aaa:v1"));
    const controller = new AbortController();
    const first = source.resolve({ signal: controller.signal });
    const second = source.resolve({ signal });
    controller.abort();
    await assert.rejects(first, { code: "ERR_ABORTED" });
    assert.equal((await second).descriptor.mediaType, "application/vnd.oci.image.manifest.v1+json");
  });

  const skip = findProgram("skopeo") ? false : "skopeo is not installed";
  it("reads what skopeo writes", { skip }, async () => {
    const file = join(directory, "skopeo.tar");
    const from = `oci:${fixturePath("golden", "nydusify", "source")}`;
    execFileSync("skopeo", ["--insecure-policy", "copy", from, `docker-archive:${file}:small:v1`], {
      stdio: "pipe",
    });
    await using source = new DockerArchiveSource(file);
    const top = await source.resolve({ signal });
    const manifest = decodeManifest(top.bytes, top.descriptor.mediaType);
    assert.ok(manifest.kind === "manifest");
    assert.deepEqual(
      manifest.layers.map((layer) => layer.digest),
      [
        "sha256:7e99d6c5a5e35d9200970ed6f0d0a9bc75bc56cdd852cacdf1d882a8f0a008ef",
        "sha256:55245cce4e9f804ff7c9bcd7300de76565add24958988ddd3d4118981099aecc",
        "sha256:ef6e85eadd8f52af90ff3a0acbc9ee9d143afe517e56ed36dc37246217c895cb",
      ],
    );
    for (const layer of manifest.layers) {
      assert.equal((await collect(source.openBlob(layer, { signal }))).length, layer.size);
    }
  });
});
