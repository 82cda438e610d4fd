import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { decodeManifest } from "#src/format/oci/manifest.js";
import { HttpClient } from "#src/net/http-client.js";
import { ANONYMOUS } from "#src/registry/credentials.js";
import { RegistrySource } from "#src/registry/registry-source.js";
import { RegistryTarget } from "#src/registry/registry-target.js";
import { collect, describeImagePlace, writeImage } from "../conformance/image-place.ts";
import { DockerRegistry, findProgram, NO_DOCKER_REGISTRY } from "../support/docker-registry.ts";
import { fixturePath } from "../support/fixtures.ts";
import { madeImage } from "../support/made-image.ts";

const signal = new AbortController().signal;
const NO_SKOPEO = NO_DOCKER_REGISTRY || (findProgram("skopeo") ? false : "skopeo is not installed");
const run = promisify(execFile);

if (NO_DOCKER_REGISTRY) it("works with docker-registry", { skip: NO_DOCKER_REGISTRY });
else {
  describeImagePlace("docker-registry", async () => {
    const registry = await DockerRegistry.start();
    const http = new HttpClient();
    const dependencies = { http, credentials: ANONYMOUS };
    const repository = { registry: registry.host, repository: "some/app" };
    return {
      source: (name) => new RegistrySource(dependencies, { ...repository, ...name }),
      target: (tag) => new RegistryTarget(dependencies, { ...repository, tag }),
      readsByDigest: true,
      sharesBlobs: true,
      leftovers: async () => [],
      [Symbol.asyncDispose]: async () => {
        await http[Symbol.asyncDispose]();
        await registry[Symbol.asyncDispose]();
      },
    };
  });
}

describe("images in docker-registry", () => {
  it("are read when skopeo pushed them", { skip: NO_SKOPEO }, async () => {
    await using registry = await DockerRegistry.start();
    await using http = new HttpClient();
    await run("skopeo", [
      "--insecure-policy",
      "copy",
      "--dest-tls-verify=false",
      `oci:${fixturePath("golden", "nydusify", "source")}`,
      `docker://${registry.host}/small:v1`,
    ]);
    await using source = new RegistrySource(
      { http, credentials: ANONYMOUS },
      { registry: registry.host, repository: "small", tag: "v1" },
    );
    const top = await source.resolve({ signal });
    assert.equal(
      top.descriptor.digest,
      "sha256:bebb527acd40bb460672e5f01f03176e696d7bab2463e99396b279829479151a",
    );
    const manifest = decodeManifest(top.bytes, top.descriptor.mediaType);
    assert.ok(manifest.kind === "manifest");
    for (const layer of [manifest.config, ...manifest.layers]) {
      assert.equal((await collect(source.openBlob(layer, { signal }))).length, layer.size);
    }
  });

  it("are read by skopeo when we pushed them", { skip: NO_SKOPEO }, async () => {
    await using registry = await DockerRegistry.start();
    await using http = new HttpClient();
    const image = madeImage([1000, 2000], { os: "linux", architecture: "amd64" });
    const reference = { registry: registry.host, repository: "ours" };
    const target = (tag: string): RegistryTarget =>
      new RegistryTarget({ http, credentials: ANONYMOUS }, { ...reference, tag });
    await writeImage({ target }, "v1", image);
    const { stdout } = await run("skopeo", [
      "inspect",
      "--raw",
      "--tls-verify=false",
      `docker://${registry.host}/ours:v1`,
    ]);
    assert.deepEqual(Buffer.from(stdout), Buffer.from(image.manifest.bytes));
  });
});
