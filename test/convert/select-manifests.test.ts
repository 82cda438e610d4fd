import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type PlatformChoice, selectManifests } from "#src/convert/select-manifests.js";
import { NYDUS_OS_FEATURE } from "#src/format/oci/annotations.js";
import type { Descriptor, Platform } from "#src/format/oci/descriptor.js";
import { encodeManifest } from "#src/format/oci/manifest.js";
import { OCI_INDEX } from "#src/format/oci/media-types.js";
import type { ImageSource, StoredManifest } from "#src/store/image-source.js";
import { type MadeImage, madeBlob, madeImage } from "../support/made-image.ts";

const signal = new AbortController().signal;
const AMD64: Platform = { os: "linux", architecture: "amd64" };
const ARM64: Platform = { os: "linux", architecture: "arm64", variant: "v8" };
const WINDOWS: Platform = { os: "windows", architecture: "amd64" };

/** An image source of documents in memory, that notes which were read. */
function sourceOf(top: StoredManifest, documents: readonly StoredManifest[]) {
  const read: string[] = [];
  const source: ImageSource = {
    name: "test",
    resolve: async () => top,
    readDocument: async ({ digest }) => {
      read.push(digest);
      const found = documents.find(({ descriptor }) => descriptor.digest === digest);
      if (found === undefined) throw new Error(`no document ${digest}`);
      return found.bytes;
    },
    openBlob: () => {
      throw new Error("no blob should be read");
    },
    blobs: { name: "test", read: () => Promise.reject(new Error()), size: () => Promise.reject(new Error()) },
    [Symbol.asyncDispose]: async () => {},
  };
  return { source, read };
}

function indexOf(rows: readonly Descriptor[]): StoredManifest {
  return madeBlob(encodeManifest({ kind: "index", mediaType: OCI_INDEX, manifests: rows }), OCI_INDEX);
}

function row(image: MadeImage, platform: Platform): Descriptor {
  return { ...image.manifest.descriptor, platform };
}

const amd64 = madeImage([10], AMD64);
const arm64 = madeImage([10], ARM64);
const windows = madeImage([10], WINDOWS);
const attestation = madeImage([10], AMD64);
const index = indexOf([
  row(amd64, AMD64),
  row(arm64, ARM64),
  row(windows, WINDOWS),
  row(attestation, { os: "unknown", architecture: "unknown" }),
]);
const documents = [amd64, arm64, windows].map(({ manifest }) => manifest);

const choose = (...wanted: readonly Platform[]): PlatformChoice => ({ wanted, isExplicit: true });

describe("selectManifests()", () => {
  it("reads the manifest of the wanted platform only", async () => {
    const { source, read } = sourceOf(index, documents);
    const { manifests } = await selectManifests(source, choose({ os: "linux", architecture: "arm64" }), {
      signal,
    });
    assert.deepEqual(
      manifests.map(({ platform }) => platform),
      [ARM64],
    );
    assert.deepEqual(read, [arm64.manifest.descriptor.digest]);
  });

  it("takes every platform but Windows and attestations for all", async () => {
    const { source } = sourceOf(index, documents);
    const { manifests, skipped, indexType } = await selectManifests(
      source,
      { wanted: "all", isExplicit: true },
      { signal },
    );
    assert.deepEqual(
      manifests.map(({ platform }) => platform),
      [AMD64, ARM64],
    );
    assert.deepEqual({ skipped, indexType }, { skipped: [WINDOWS], indexType: OCI_INDEX });
  });

  it("finds platforms in an index inside the index", async () => {
    const { source } = sourceOf(indexOf([index.descriptor]), [index, ...documents]);
    const { manifests } = await selectManifests(source, choose(AMD64), { signal });
    assert.equal(manifests[0]?.descriptor.digest, amd64.manifest.descriptor.digest);
  });

  it("refuses indexes that nest without end", async () => {
    const first = indexOf([index.descriptor]);
    const second = indexOf([first.descriptor]);
    const third = indexOf([second.descriptor]);
    const { source } = sourceOf(third, [second, first, index, ...documents]);
    await assert.rejects(selectManifests(source, choose(AMD64), { signal }), { code: "ERR_LIMIT_EXCEEDED" });
  });

  it("says which platforms there are when the wanted one is not", async () => {
    const { source } = sourceOf(index, documents);
    await assert.rejects(
      selectManifests(source, choose({ os: "linux", architecture: "s390x" }), { signal }),
      {
        code: "ERR_IMAGE_NOT_FOUND",
        message: /linux\/amd64, linux\/arm64\/v8/,
      },
    );
  });

  it("refuses Windows", async () => {
    const { source } = sourceOf(index, documents);
    await assert.rejects(selectManifests(source, choose(WINDOWS), { signal }), {
      code: "ERR_FEATURE_UNSUPPORTED",
    });
  });

  it("refuses an image that is a Nydus image already", async () => {
    const nydus = row(amd64, { ...AMD64, "os.features": [NYDUS_OS_FEATURE] });
    const { source } = sourceOf(indexOf([nydus]), documents);
    await assert.rejects(selectManifests(source, choose(AMD64), { signal }), { code: "ERR_OPTION_INVALID" });
  });

  it("refuses layers that are no tar", async () => {
    const chart = madeBlob(new Uint8Array(3), "application/vnd.cncf.helm.chart.content.v1.tar+gzip");
    const config = madeBlob(new Uint8Array(2), "application/vnd.cncf.helm.config.v1+json");
    const manifest = madeBlob(
      encodeManifest({
        kind: "manifest",
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: config.descriptor,
        layers: [chart.descriptor],
      }),
      "application/vnd.oci.image.manifest.v1+json",
    );
    const { source } = sourceOf(manifest, []);
    await assert.rejects(selectManifests(source, choose(AMD64), { signal }), { code: "ERR_IMAGE_INVALID" });
  });
});
