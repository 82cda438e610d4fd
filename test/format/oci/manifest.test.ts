import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isCoded } from "#src/base/errors.js";
import { isNydusBootstrapLayer, isNydusManifestRow } from "#src/format/oci/annotations.js";
import { decodeManifest, encodeManifest, type Manifest } from "#src/format/oci/manifest.js";
import { DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from "#src/format/oci/media-types.js";
import { readFixture } from "../../support/fixtures.ts";

const digest = `sha256:${"0".repeat(64)}`;
const descriptor = { mediaType: "application/vnd.oci.image.layer.v1.tar", digest, size: 1 };
const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: descriptor, layers: [descriptor] };
const bytesOf = (json: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(json));
const golden = (image: string, hex: string): Uint8Array =>
  readFixture("golden", "nydusify", image, "blobs", "sha256", hex);

describe("decodeManifest()", () => {
  it("reads a manifest of nydusify", () => {
    const bytes = golden("native", "06693336ad4bc96af54141f9791f3a81d58ec19ef39821ac2f584d13bbec0fa6");
    const found = decodeManifest(bytes, OCI_MANIFEST);
    assert.ok(found.kind === "manifest");
    assert.deepEqual(found.layers.map(isNydusBootstrapLayer), [false, false, false, true]);
    // The golden manifest is indented; the fields and their order are ours too.
    assert.deepEqual(
      JSON.parse(new TextDecoder().decode(encodeManifest(found))),
      JSON.parse(new TextDecoder().decode(bytes)),
    );
  });

  it("reads an index of nydusify, and tells which row is the Nydus image", () => {
    const bytes = golden(
      "merged-platform",
      "42618b0784e749721b868839b69f77169cd0a241ade39aa300d063a90ac164e9",
    );
    const found = decodeManifest(bytes);
    assert.ok(found.kind === "index");
    assert.deepEqual(found.manifests.map(isNydusManifestRow), [false, true]);
  });

  it("tells manifest from index where no media type is written", () => {
    const { mediaType: _, ...bare } = manifest;
    assert.deepEqual(
      [
        decodeManifest(bytesOf(bare)).mediaType,
        decodeManifest(bytesOf(bare), DOCKER_MANIFEST).mediaType,
        decodeManifest(bytesOf({ schemaVersion: 2, manifests: [] })).mediaType,
        decodeManifest(bytesOf({ schemaVersion: 2, manifests: [] }), DOCKER_INDEX).mediaType,
      ],
      [OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_INDEX],
    );
  });

  it("reads more layers than an overlay mount takes", () => {
    const found = decodeManifest(bytesOf({ ...manifest, layers: Array(500).fill(descriptor) }));
    assert.equal(found.kind === "manifest" && found.layers.length, 500);
  });

  const REFUSED: readonly (readonly [string, unknown, string])[] = [
    ["is an index and a manifest", { ...manifest, manifests: [] }, "ERR_IMAGE_INVALID"],
    ["has another media type than its fields", { ...manifest, mediaType: OCI_INDEX }, "ERR_IMAGE_INVALID"],
    ["has schema version 1", { ...manifest, schemaVersion: 1 }, "ERR_FEATURE_UNSUPPORTED"],
    ["has no schema version", { ...manifest, schemaVersion: undefined }, "ERR_IMAGE_INVALID"],
    ["has no config", { ...manifest, config: undefined }, "ERR_IMAGE_INVALID"],
    ["has a size below zero", { ...manifest, layers: [{ ...descriptor, size: -1 }] }, "ERR_IMAGE_INVALID"],
    [
      "has a size over 2^53",
      { ...manifest, layers: [{ ...descriptor, size: 2 ** 60 }] },
      "ERR_IMAGE_INVALID",
    ],
    [
      "has a digest that is a path",
      { ...manifest, layers: [{ ...descriptor, digest: "sha256:../../x" }] },
      "ERR_IMAGE_INVALID",
    ],
    ["has too many layers", { ...manifest, layers: Array(2049).fill(descriptor) }, "ERR_LIMIT_EXCEEDED"],
    ["has an annotation that is no string", { ...manifest, annotations: { a: 1 } }, "ERR_IMAGE_INVALID"],
    ["is a list", [], "ERR_IMAGE_INVALID"],
  ];
  for (const [why, json, code] of REFUSED) {
    it(`refuses a document that ${why}`, () => {
      assert.throws(() => decodeManifest(bytesOf(json)), { code });
    });
  }

  it("refuses a document that is not what its descriptor says", () => {
    assert.throws(() => decodeManifest(bytesOf(manifest), OCI_INDEX), { code: "ERR_IMAGE_INVALID" });
  });

  it("bounds size and depth before it parses", () => {
    const deep = new TextEncoder().encode(`{"schemaVersion":2,"x":${"[".repeat(1e6)}`);
    assert.throws(() => decodeManifest(deep), { code: "ERR_LIMIT_EXCEEDED" });
    assert.throws(() => decodeManifest(new Uint8Array(4 * 2 ** 20 + 1).fill(32)), {
      code: "ERR_LIMIT_EXCEEDED",
    });
    const quoted = bytesOf({ ...manifest, annotations: { a: `\\"${"[".repeat(100)}` } });
    assert.equal(decodeManifest(quoted).annotations?.["a"]?.length, 102);
  });

  it("names the field that is wrong", () => {
    const wrong = bytesOf({ ...manifest, layers: [descriptor, { ...descriptor, size: "1" }] });
    assert.throws(
      () => decodeManifest(wrong, undefined, "manifest of x"),
      /manifest of x\.layers\[1\]\.size/,
    );
  });

  it("gives a manifest or a coded error for any value in any field", () => {
    const field = fc.constantFrom(
      "schemaVersion",
      "mediaType",
      "config",
      "layers",
      "manifests",
      "subject",
      "annotations",
    );
    fc.assert(
      fc.property(field, fc.jsonValue({ maxDepth: 3 }), (name, value) => {
        try {
          decodeManifest(bytesOf({ ...manifest, [name]: value }));
        } catch (error) {
          if (!isCoded(error)) throw error;
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("encodeManifest()", () => {
  it("gives the same bytes whatever the order of annotations, and reads back", () => {
    const made = (annotations: Record<string, string>): Manifest => ({
      kind: "manifest",
      mediaType: OCI_MANIFEST,
      config: { ...descriptor, digest } as Manifest["config"],
      layers: [{ ...descriptor, annotations } as Manifest["config"]],
      annotations,
    });
    const bytes = encodeManifest(made({ a: "1", b: "2" }));
    assert.deepEqual(encodeManifest(made({ b: "2", a: "1" })), bytes);
    assert.deepEqual(decodeManifest(bytes), made({ a: "1", b: "2" }));
  });
});
