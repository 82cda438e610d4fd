import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { decompressChunk } from "#src/codec/decompress.js";
import { convertImage } from "#src/convert/convert-image.js";
import { decodeManifest } from "#src/format/oci/manifest.js";
import {
  DOCKER_CONFIG,
  DOCKER_LAYER_GZIP,
  DOCKER_MANIFEST,
  OCI_LAYER_GZIP,
} from "#src/format/oci/media-types.js";
import type { Bootstrap } from "#src/image/bootstrap.js";
import type { RegularFile } from "#src/image/tree.js";
import { listTree } from "#src/image/tree.js";
import { openLayoutSource } from "#src/layout/layout-source.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { HttpClient } from "#src/net/http-client.js";
import { ANONYMOUS } from "#src/registry/credentials.js";
import { RegistrySource } from "#src/registry/registry-source.js";
import { RegistryTarget } from "#src/registry/registry-target.js";
import {
  convert,
  convertedTop,
  convertFixture,
  openConverted,
  openFixtureSource,
  readConverted,
} from "../support/converted-image.ts";
import { DockerRegistry, NO_DOCKER_REGISTRY } from "../support/docker-registry.ts";
import { readFixture, readJsonLines } from "../support/fixtures.ts";
import { TestRegistry } from "../support/registry.ts";
import { plainLayer, writeSourceImage, writeSourceIndex } from "../support/source-image.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { treeRows } from "../support/tree-rows.ts";

const signal = new AbortController().signal;
const layer = (number: number): Buffer => Buffer.from(readFixture("golden", "made", `layer${number}.tar`));

/** The rows of an image with the sha256 of every file, read through the bootstrap's own chunk table. */
async function digestedRows(bootstrap: Bootstrap, blobFolder: string): Promise<Record<string, unknown>[]> {
  const files = new Map(listTree(bootstrap.root).map(({ path, inode }) => [path, inode]));
  const rows: Record<string, unknown>[] = [];
  for (const row of treeRows(bootstrap.root)) {
    const inode = files.get(row.path);
    const sha256 = inode?.type === "file" ? await sha256OfFile(inode, bootstrap, blobFolder) : undefined;
    rows.push({ ...row, ...(sha256 !== undefined && { sha256 }) });
  }
  return rows;
}

async function sha256OfFile(file: RegularFile, { blobs }: Bootstrap, blobFolder: string): Promise<string> {
  const sha256 = createHash("sha256");
  for (const { blobIndex, storedOffset = 0, storedSize = 0, decodedSize } of file.chunks) {
    const blob = blobs[blobIndex];
    assert.ok(blob !== undefined);
    const bytes = await readFile(join(blobFolder, blob.id));
    const stored = bytes.subarray(storedOffset, storedOffset + storedSize);
    sha256.update(
      decompressChunk(storedSize === decodedSize ? "none" : blob.compressor, stored, decodedSize),
    );
  }
  return sha256.digest("hex");
}

/** The golden rows; what an unpacker made up as the time of a directory nobody named is left out. */
function comparable(rows: readonly Record<string, unknown>[], golden: readonly Record<string, unknown>[]) {
  const isOfRun = new Set(
    golden
      .filter(({ mtimeNs }) => BigInt(String(mtimeNs)) > 1_795_000_000_000_000_000n)
      .map(({ path }) => path),
  );
  return rows.map((row) => (isOfRun.has(pathOf(row)) ? { ...row, mtimeNs: "time of the run" } : row));
}

function pathOf({ path }: Record<string, unknown>): unknown {
  return path;
}

const layers123 = readJsonLines("golden", "made", "layers-1-3.jsonl");

describe("convertImage()", () => {
  for (const options of [
    { compressor: "zstd", digester: "blake3" },
    { compressor: "zstd", digester: "sha256", chunkSize: 4096, compressionLevel: 19 },
    { compressor: "lz4_block", digester: "blake3", chunkSize: 65536 },
    { compressor: "none", digester: "sha256", chunkSize: 16 * 2 ** 20 },
  ]) {
    it(`keeps every path, attribute and byte with ${JSON.stringify(options)}`, async () => {
      await using directory = await temporaryDirectory();
      await convertFixture(directory.path, options);
      const { bootstrap } = await readConverted(openConverted(directory.path));
      const rows = await digestedRows(bootstrap, join(directory.path, "out", "blobs", "sha256"));
      assert.deepEqual(comparable(rows, layers123), comparable(layers123, layers123));
    });
  }

  it("takes entries without parents and layers without files", async () => {
    await using directory = await temporaryDirectory();
    const source = join(directory.path, "source");
    const empty = plainLayer(Buffer.alloc(1024));
    await writeSourceImage(new LayoutTarget(source, { tag: "a" }), {
      layers: [empty, ...[1, 2, 3, 4].map((number) => plainLayer(layer(number))), empty],
    });
    const target = new LayoutTarget(join(directory.path, "out"), { tag: "nydus" });
    await convert(openLayoutSource(source, "a"), target, directory.path);
    const { manifest, bootstrap } = await readConverted(openConverted(directory.path));
    const rows = await digestedRows(bootstrap, join(directory.path, "out", "blobs", "sha256"));
    const golden = readJsonLines("golden", "made", "layers-1-4.jsonl");
    assert.deepEqual(comparable(rows, golden), comparable(golden, golden));
    assert.equal(manifest.layers.length, 7);
    assert.equal(manifest.layers[0]?.digest, manifest.layers[5]?.digest);
  });

  it("gives the same digest however many layers are converted at once", async () => {
    await using directory = await temporaryDirectory();
    const digests = new Set<string>();
    for (const jobs of [1, 2, 8]) digests.add((await convertFixture(directory.path, { jobs })).digest);
    assert.equal(digests.size, 1);
  });

  it("leaves nothing in the work directory", async () => {
    await using directory = await temporaryDirectory();
    await convertFixture(directory.path);
    assert.deepEqual(await readdir(directory.path), ["out"]);
  });

  it("lists a blob once when the same layer comes twice, and in other compressions", async () => {
    await using directory = await temporaryDirectory();
    const source = join(directory.path, "source");
    const tar = layer(1);
    await writeSourceImage(new LayoutTarget(source, { tag: "a" }), {
      layers: [
        plainLayer(tar),
        { stored: gzipSync(tar), tar, mediaType: OCI_LAYER_GZIP },
        plainLayer(layer(2)),
        plainLayer(tar),
        // Other bytes behind the end mark: another diff id, the same blob.
        plainLayer(Buffer.concat([tar, Buffer.alloc(10240)])),
      ],
    });
    await convert(
      openLayoutSource(source, "a"),
      new LayoutTarget(join(directory.path, "out"), { tag: "nydus" }),
      directory.path,
    );
    const { manifest, bootstrap, files } = await readConverted(openConverted(directory.path));
    assert.equal(manifest.layers.length, 6);
    assert.equal(new Set(bootstrap.blobs.map(({ id }) => id)).size, bootstrap.blobs.length);
    assert.equal(files.filter(({ name }) => name.endsWith(".blob.meta")).length, 2);
  });

  it("keeps Docker's media types", async () => {
    await using directory = await temporaryDirectory();
    const source = join(directory.path, "source");
    const tar = layer(1);
    await writeSourceImage(new LayoutTarget(source, { tag: "a" }), {
      layers: [{ stored: gzipSync(tar), tar, mediaType: DOCKER_LAYER_GZIP }],
      manifestType: DOCKER_MANIFEST,
      configType: DOCKER_CONFIG,
    });
    await convert(
      openLayoutSource(source, "a"),
      new LayoutTarget(join(directory.path, "out"), { tag: "nydus" }),
      directory.path,
    );
    const { manifest } = await readConverted(openConverted(directory.path));
    assert.deepEqual(
      [manifest.mediaType, manifest.config.mediaType, manifest.layers.at(-1)?.mediaType],
      [DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER_GZIP],
    );
  });

  it("converts several platforms to an index, each layer they share once", async () => {
    await using directory = await temporaryDirectory();
    const source = join(directory.path, "source");
    const [amd64, arm64] = [
      { os: "linux", architecture: "amd64" },
      { os: "linux", architecture: "arm64", variant: "v8" },
    ];
    await writeSourceIndex(new LayoutTarget(source, { tag: "a" }), [
      { platform: amd64, layers: [plainLayer(layer(1)), plainLayer(layer(2))] },
      { platform: arm64, layers: [plainLayer(layer(1)), plainLayer(layer(3))] },
    ]);
    const started: (string | undefined)[] = [];
    const target = new LayoutTarget(join(directory.path, "out"), { tag: "nydus" });
    await using original = openLayoutSource(source, "a");
    await convertImage(
      {
        kind: "image",
        source: original,
        platforms: { wanted: "all", isExplicit: true },
        reference: undefined,
      },
      target,
      {},
      {
        signal,
        onEvent: (event) => event.type === "layer-started" && started.push(event.digest),
        workParent: directory.path,
      },
    );
    const top = await convertedTop(directory.path);
    const index = decodeManifest(top.bytes, top.descriptor.mediaType);
    assert.ok(index.kind === "index");
    assert.deepEqual(
      index.manifests.map(({ platform }) => platform),
      [amd64, arm64],
    );
    assert.equal(started.length, 3);
  });

  it("downloads nothing of the other platforms", async () => {
    await using directory = await temporaryDirectory();
    await using registry = await TestRegistry.start();
    await using http = new HttpClient();
    const dependencies = { http, credentials: ANONYMOUS };
    const reference = { registry: registry.host, repository: "some/app", tag: "v1" };
    await writeSourceIndex(new RegistryTarget(dependencies, reference), [
      { platform: { os: "linux", architecture: "amd64" }, layers: [plainLayer(layer(1))] },
      { platform: { os: "linux", architecture: "arm64" }, layers: [plainLayer(layer(2))] },
    ]);
    registry.bytesSent.clear();
    await convert(
      new RegistrySource(dependencies, reference),
      new LayoutTarget(join(directory.path, "out"), { tag: "nydus" }),
      directory.path,
    );
    const sent = [...registry.bytesSent.keys()];
    const sha256 = createHash("sha256").update(layer(2)).digest("hex");
    assert.equal(sent.includes(`sha256:${sha256}`), false);
    assert.equal(sent.length, 2);
  });

  it("writes nothing again that the registry has", async () => {
    await using directory = await temporaryDirectory();
    await using registry = await TestRegistry.start();
    await using http = new HttpClient();
    const reference = { registry: registry.host, repository: "some/app", tag: "nydus" };
    const run = () =>
      convert(
        openFixtureSource(),
        new RegistryTarget({ http, credentials: ANONYMOUS }, reference),
        directory.path,
      );
    const first = await run();
    registry.requests.length = 0;
    assert.equal((await run()).digest, first.digest);
    const writes = registry.requests.filter(({ method }) => method !== "GET" && method !== "HEAD");
    assert.deepEqual(
      writes.map(({ method, path }) => [method, path]),
      [["PUT", "/v2/some/app/manifests/nydus"]],
    );
  });

  it("keeps the manifest it had when a blob cannot be written", async () => {
    await using directory = await temporaryDirectory();
    await using registry = await TestRegistry.start();
    await using http = new HttpClient();
    const reference = { registry: registry.host, repository: "some/app", tag: "nydus" };
    const target = () => new RegistryTarget({ http, credentials: ANONYMOUS }, reference);
    await convert(openFixtureSource(), target(), directory.path);
    const before = registry.requests.length;
    registry.faults.failNext = [403, 403, 403, 403, 403, 403];
    await assert.rejects(convert(openFixtureSource(), target(), directory.path, { compressor: "none" }), {
      code: "ERR_REGISTRY_DENIED",
    });
    const later = registry.requests.slice(before);
    assert.equal(
      later.some(({ path }) => path.includes("/manifests/")),
      false,
    );
    assert.deepEqual(await readdir(directory.path), []);
  });

  it("goes from registry to registry", { skip: NO_DOCKER_REGISTRY }, async () => {
    await using directory = await temporaryDirectory();
    await using registry = await DockerRegistry.start();
    await using http = new HttpClient();
    const dependencies = { http, credentials: ANONYMOUS };
    const named = (tag: string) => ({ registry: registry.host, repository: "some/app", tag });
    await writeSourceImage(new RegistryTarget(dependencies, named("v1")), {
      layers: [1, 2, 3].map((number) => ({
        stored: gzipSync(layer(number)),
        tar: layer(number),
        mediaType: OCI_LAYER_GZIP,
      })),
    });
    const run = () =>
      convert(
        new RegistrySource(dependencies, named("v1")),
        new RegistryTarget(dependencies, named("nydus")),
        directory.path,
      );
    const report = await run();
    const converted = await readConverted(new RegistrySource(dependencies, named("nydus")));
    assert.deepEqual(
      comparable(treeRows(converted.bootstrap.root) as unknown as Record<string, unknown>[], layers123),
      comparable(
        layers123.map(({ sha256: _, ...row }) => row),
        layers123,
      ),
    );
    assert.equal((await run()).digest, report.digest);
  });
});

describe("convertImage() of a damaged image", () => {
  const tar = layer(1);
  const gzip = gzipSync(tar);
  const cases = {
    "whose diff id is another one": {
      code: "ERR_DIGEST_MISMATCH",
      image: { layers: [plainLayer(tar)], diffIds: [`sha256:${"0".repeat(64)}`] },
    },
    "with a truncated gzip layer": {
      code: "ERR_LAYER_INVALID",
      image: { layers: [{ stored: gzip.subarray(0, gzip.length / 2), tar, mediaType: OCI_LAYER_GZIP }] },
    },
    "with a truncated tar": {
      code: "ERR_LAYER_INVALID",
      image: { layers: [plainLayer(tar.subarray(0, 30_000))] },
    },
    "with more diff ids than layers": {
      code: "ERR_IMAGE_INVALID",
      image: { layers: [plainLayer(tar)], diffIds: [] },
    },
  } as const;
  for (const [what, { code, image }] of Object.entries(cases)) {
    it(`fails for one ${what}, the target as it was`, async () => {
      await using directory = await temporaryDirectory();
      await convertFixture(directory.path);
      const before = await convertedTop(directory.path);
      const source = join(directory.path, "source");
      await writeSourceImage(new LayoutTarget(source, { tag: "a" }), image);
      const target = new LayoutTarget(join(directory.path, "out"), { tag: "nydus" });
      await assert.rejects(convert(openLayoutSource(source, "a"), target, directory.path), { code });
      const after = await convertedTop(directory.path);
      assert.deepEqual(after.descriptor, before.descriptor);
      assert.deepEqual((await readdir(directory.path)).sort(), ["out", "source"]);
    });
  }

  it("fails when a layer's bytes are not those of its digest", async () => {
    await using directory = await temporaryDirectory();
    const source = join(directory.path, "source");
    await writeSourceImage(new LayoutTarget(source, { tag: "a" }), { layers: [plainLayer(tar)] });
    const path = join(source, "blobs", "sha256", createHash("sha256").update(tar).digest("hex"));
    const bytes = await readFile(path);
    // The padding behind the end mark: nothing but the digest covers it.
    bytes[bytes.length - 1] = 1;
    await writeFile(path, bytes);
    const target = new LayoutTarget(join(directory.path, "out"), { tag: "nydus" });
    await assert.rejects(convert(openLayoutSource(source, "a"), target, directory.path), {
      code: "ERR_DIGEST_MISMATCH",
    });
    assert.deepEqual(await readdir(directory.path), ["source"]);
  });

  it("fails when the registry sends other bytes than the digest's", async () => {
    await using directory = await temporaryDirectory();
    await using registry = await TestRegistry.start();
    await using http = new HttpClient();
    const dependencies = { http, credentials: ANONYMOUS };
    const reference = { registry: registry.host, repository: "some/app", tag: "v1" };
    await writeSourceImage(new RegistryTarget(dependencies, reference), { layers: [plainLayer(tar)] });
    registry.faults.wrongBytes = true;
    const target = new LayoutTarget(join(directory.path, "out"), { tag: "nydus" });
    await assert.rejects(convert(new RegistrySource(dependencies, reference), target, directory.path), {
      code: "ERR_DIGEST_MISMATCH",
    });
    assert.deepEqual(await readdir(directory.path), []);
  });

  it("stops when it is interrupted, and leaves nothing behind", async () => {
    await using directory = await temporaryDirectory();
    const controller = new AbortController();
    await using source = openFixtureSource();
    const converting = convertImage(
      {
        kind: "image",
        source,
        platforms: { wanted: [{ os: "linux", architecture: "amd64" }], isExplicit: false },
        reference: undefined,
      },
      new LayoutTarget(join(directory.path, "out"), { tag: "nydus" }),
      {},
      {
        signal: controller.signal,
        onEvent: (event) => event.type === "layer-started" && controller.abort(),
        workParent: directory.path,
      },
    );
    await assert.rejects(converting, { code: "ERR_ABORTED" });
    assert.deepEqual(await readdir(directory.path), []);
  });
});
