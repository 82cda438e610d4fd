import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Digest } from "#src/base/digest.js";
import {
  checkLayerCount,
  decodeImageConfig,
  encodeImageConfig,
  withLayers,
} from "#src/format/oci/image-config.js";
import { readFixture } from "../../support/fixtures.ts";

const source = readFixture(
  "golden",
  "nydusify",
  "source",
  "blobs",
  "sha256",
  "045a28dce15c8197e0872915b5b556571329b89ce620daee637a7232a03d90ef",
);

describe("decodeImageConfig()", () => {
  it("reads platform, diff ids and history of a golden image", () => {
    const config = decodeImageConfig(source);
    assert.deepEqual(config.platform, { os: "linux", architecture: "amd64" });
    assert.equal(config.diffIds.length, 3);
    assert.deepEqual(
      config.history.map((row) => row.created_by),
      ["layer 0", "layer 1", "layer 2"],
    );
    assert.throws(() => checkLayerCount(config, 4), { code: "ERR_IMAGE_INVALID" });
  });

  it("keeps every other field, in its order, when the layers change", () => {
    const document = JSON.parse(new TextDecoder().decode(source));
    const config = decodeImageConfig(
      new TextEncoder().encode(JSON.stringify({ zzz: { unknown: [1] }, ...document })),
    );
    const diffId = `sha256:${"1".repeat(64)}` as Digest;
    const text = new TextDecoder().decode(
      encodeImageConfig(withLayers(config, [diffId], [{ created_by: "us" }])),
    );
    const changed = {
      ...document,
      rootfs: { type: "layers", diff_ids: [diffId] },
      history: [{ created_by: "us" }],
    };
    assert.equal(text, JSON.stringify({ zzz: { unknown: [1] }, ...changed }));
  });

  for (const wrong of [
    {},
    { rootfs: [] },
    { rootfs: { diff_ids: ["x"] } },
    { rootfs: {}, history: [1] },
    { rootfs: {}, os: 5 },
  ]) {
    it(`refuses ${JSON.stringify(wrong)}`, () => {
      const bytes = new TextEncoder().encode(JSON.stringify(wrong));
      assert.throws(() => decodeImageConfig(bytes), { code: "ERR_IMAGE_INVALID" });
    });
  }
});
