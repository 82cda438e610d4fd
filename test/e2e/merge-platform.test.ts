import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { ImageAccess } from "#src/app/image-access.js";
import { isNydusBootstrapLayer, NYDUS_SOURCE_DIGEST } from "#src/format/oci/annotations.js";
import type { Descriptor } from "#src/format/oci/descriptor.js";
import { decodeManifest, type Manifest } from "#src/format/oci/manifest.js";
import {
  DOCKER_CONFIG,
  DOCKER_LAYER_GZIP,
  DOCKER_MANIFEST,
  NYDUS_CONFIG,
  NYDUS_MANIFEST_ARTIFACT,
  OCI_INDEX,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
} from "#src/format/oci/media-types.js";
import { DockerRegistry, findProgram, NO_DOCKER_REGISTRY } from "../support/docker-registry.ts";
import { fixturePath, readFixture } from "../support/fixtures.ts";
import { runCommand } from "../support/run-command.ts";
import { plainLayer, type SourceImage, writeSourceImage, writeSourceIndex } from "../support/source-image.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const signal = new AbortController().signal;
const FIXTURE = `oci:${fixturePath("golden", "nydusify", "source")}:v1`;
const noSkopeo = findProgram("skopeo") ? false : "skopeo is not installed";

const layer = (number: number): Buffer => Buffer.from(readFixture("golden", "made", `layer${number}.tar`));
const gzip = (number: number, mediaType: string): SourceImage["layers"][number] => ({
  stored: gzipSync(layer(number)),
  tar: layer(number),
  mediaType,
});

async function nydusConvert(...args: readonly string[]): Promise<void> {
  const { status, stderr } = await runCommand("nydus-convert", args);
  assert.equal(status, 0, stderr);
}

interface ReadIndex {
  readonly rows: readonly Descriptor[];
  /** By the rows. */
  readonly manifests: readonly Manifest[];
}

/** The index that a name stands for, with its manifests; every blob they name must be there. */
async function readIndex(image: string): Promise<ReadIndex> {
  await using access = await ImageAccess.create({ environment: {} });
  await using source = access.openSource(image);
  await using target = access.openTarget(image);
  const top = await source.resolve({ signal });
  const index = decodeManifest(top.bytes, top.descriptor.mediaType);
  assert.ok(index.kind === "index");
  assert.equal(index.mediaType, OCI_INDEX);
  const manifests: Manifest[] = [];
  for (const row of index.manifests) {
    const manifest = decodeManifest(await source.readDocument(row, { signal }), row.mediaType);
    assert.ok(manifest.kind === "manifest");
    for (const blob of [...manifest.layers, manifest.config]) {
      assert.ok(await target.hasBlob(blob, { signal }), `${image} lacks ${blob.digest}`);
    }
    manifests.push(manifest);
  }
  return { rows: index.manifests, manifests };
}

async function write(
  image: string,
  content: SourceImage | readonly Parameters<typeof writeSourceIndex>[1][number][],
): Promise<Descriptor> {
  await using access = await ImageAccess.create({ environment: {} });
  await using target = access.openTarget(image);
  return await ("layers" in content ? writeSourceImage(target, content) : writeSourceIndex(target, content));
}

/** The digest of the manifest that skopeo takes for amd64; it copies the image. */
function chosenBySkopeo(image: string, folder: string, ...flags: readonly string[]): string {
  const digestFile = join(folder, "skopeo.digest");
  const platform = ["--override-os", "linux", "--override-arch", "amd64"];
  const copy = ["copy", "--quiet", "--preserve-digests", "--digestfile", digestFile, ...flags];
  execFileSync("skopeo", ["--insecure-policy", ...platform, ...copy, image, `dir:${folder}/skopeo`]);
  return readFileSync(digestFile, "utf8");
}

describe("nydus-convert --merge-platform", () => {
  it("names the original by its own digest, and the Nydus image marked as nydusify does", async () => {
    await using directory = await temporaryDirectory();
    const target = `oci:${directory.path}/out:both`;
    await nydusConvert(FIXTURE, target, "--merge-platform");
    const { rows, manifests } = await readIndex(target);
    const golden = await readIndex(
      `oci:${fixturePath("golden", "nydusify", "merged-platform")}:merged-platform`,
    );
    assert.deepEqual(
      rows.map(({ mediaType, platform, artifactType }) => ({ mediaType, platform, artifactType })),
      golden.rows.map(({ mediaType, platform, artifactType }) => ({ mediaType, platform, artifactType })),
    );
    await using access = await ImageAccess.create({ environment: {} });
    await using source = access.openSource(FIXTURE);
    const { digest } = (await source.resolve({ signal })).descriptor;
    assert.equal(rows[0]?.digest, digest);
    assert.equal(manifests[1]?.annotations?.[NYDUS_SOURCE_DIGEST], digest);
    assert.equal(manifests[1]?.config.mediaType, golden.manifests[1]?.config.mediaType);
    assert.equal(manifests[1]?.artifactType, NYDUS_MANIFEST_ARTIFACT);
  });

  it("gives a tag that ordinary tools and Nydus tools read", { skip: noSkopeo }, async () => {
    await using directory = await temporaryDirectory();
    const target = `oci:${directory.path}/out:both`;
    await nydusConvert(FIXTURE, target, "--merge-platform");
    const { rows } = await readIndex(target);
    assert.equal(chosenBySkopeo(target, directory.path), rows[0]?.digest);
    await nydusConvert("check", target, "--source", FIXTURE);
    // The original of the new index converts to the same Nydus image again.
    await nydusConvert(target, `oci:${directory.path}/again:both`, "--merge-platform");
    const again = await readIndex(`oci:${directory.path}/again:both`);
    assert.deepEqual(
      again.rows.map(({ digest }) => digest),
      rows.map(({ digest }) => digest),
    );
  });

  it("merges every platform that is converted, and no other", async () => {
    await using directory = await temporaryDirectory();
    const source = `oci:${directory.path}/source:v1`;
    const [amd64, arm64] = [
      { os: "linux", architecture: "amd64" },
      { os: "linux", architecture: "arm64", variant: "v8" },
    ];
    await write(source, [
      { platform: amd64, layers: [plainLayer(layer(1)), plainLayer(layer(2))] },
      { platform: arm64, layers: [plainLayer(layer(1)), plainLayer(layer(3))] },
    ]);
    const originals = (await readSource(source)).manifests;
    const all = `oci:${directory.path}/all:both`;
    await nydusConvert(source, all, "--merge-platform", "--all-platforms");
    const merged = await readIndex(all);
    assert.deepEqual(
      merged.rows.map(({ platform }) => platform),
      [amd64, arm64, amd64, arm64],
    );
    assert.deepEqual(merged.rows.slice(0, 2), originals);
    for (const platform of ["linux/amd64", "linux/arm64"])
      await nydusConvert("check", all, "--platform", platform);

    const one = `oci:${directory.path}/one:both`;
    await nydusConvert(source, one, "--merge-platform", "--platform", "linux/arm64");
    assert.deepEqual(
      (await readIndex(one)).rows.map(({ platform }) => platform),
      [arm64, arm64],
    );
  });

  it("puts a Docker image beside a Nydus image of OCI's types", {
    skip: NO_DOCKER_REGISTRY || noSkopeo,
  }, async () => {
    await using directory = await temporaryDirectory();
    await using registry = await DockerRegistry.start();
    const source = `docker://${registry.host}/theirs/app:v1`;
    const { digest } = await write(source, {
      layers: [1, 2].map((number) => gzip(number, DOCKER_LAYER_GZIP)),
      manifestType: DOCKER_MANIFEST,
      configType: DOCKER_CONFIG,
    });
    const target = `docker://${registry.host}/ours/app:both`;
    await nydusConvert(source, target, "--merge-platform");
    const { rows, manifests } = await readIndex(target);
    assert.deepEqual(
      rows.map(({ mediaType }) => mediaType),
      [DOCKER_MANIFEST, OCI_MANIFEST],
    );
    assert.equal(rows[0]?.digest, digest);
    assert.equal(manifests[1]?.config.mediaType, NYDUS_CONFIG);
    const bootstrap = manifests[1]?.layers.find(isNydusBootstrapLayer);
    assert.equal(bootstrap?.mediaType, OCI_LAYER_GZIP);
    assert.equal(chosenBySkopeo(target, directory.path, "--src-tls-verify=false"), digest);
    await nydusConvert("check", target, "--source", source);
  });

  it("replaces a tag by the two images of it", { skip: NO_DOCKER_REGISTRY }, async () => {
    await using registry = await DockerRegistry.start();
    const image = `${registry.host}/some/app:v1`;
    const { digest } = await write(image, { layers: [gzip(1, OCI_LAYER_GZIP)] });
    await nydusConvert(image, image, "--merge-platform");
    assert.equal((await readIndex(image)).rows[0]?.digest, digest);
  });

  it("refuses a directory, which has no image to keep", async () => {
    await using directory = await temporaryDirectory();
    const { status, stderr } = await runCommand("nydus-convert", [
      `dir:${directory.path}`,
      `oci:${directory.path}/out`,
      "--merge-platform",
    ]);
    assert.equal(status, 2);
    assert.match(stderr, /ERR_OPTION_INVALID/);
  });
});

async function readSource(image: string) {
  await using access = await ImageAccess.create({ environment: {} });
  await using source = access.openSource(image);
  const top = await source.resolve({ signal });
  const index = decodeManifest(top.bytes, top.descriptor.mediaType);
  assert.ok(index.kind === "index");
  return index;
}
