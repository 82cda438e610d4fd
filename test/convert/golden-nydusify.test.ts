import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { decodeBlobMetaFile } from "#src/format/blob/blob-meta-file.js";
import { findBlobSections } from "#src/format/blob/blob-sections.js";
import { openLayoutSource } from "#src/layout/layout-source.js";
import {
  type ConvertedImage,
  convertFixture,
  openConverted,
  readConverted,
} from "../support/converted-image.ts";
import { fixturePath } from "../support/fixtures.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** What must be equal: everything but the bytes that zstd or gzip made, and what follows from them. */
async function formOf(image: ConvertedImage, blobFolder: string, sameNumbers: boolean) {
  const { manifest, config, files, bootstrap } = image;
  const order = new Map(manifest.layers.map(({ digest }, index) => [digest.slice(7), `layer ${index}`]));
  const named = (text: string): string => text.replace(/[0-9a-f]{64}/, (hex) => order.get(hex) ?? hex);
  const blobs = [];
  for (const { digest, mediaType, annotations } of manifest.layers) {
    if (annotations?.["containerd.io/snapshot/nydus-blob"] !== "true") continue;
    const bytes = await readFile(join(blobFolder, digest.slice(7)));
    const { sections, toc } = await findBlobSections(bytes.length, async (offset, length) =>
      bytes.subarray(offset, offset + length),
    );
    const rows = toc?.rows.map(({ name, compressor, decodedSize }) => ({ name, compressor, decodedSize }));
    blobs.push({ mediaType, rows, sections: [...sections.keys()] });
  }
  return {
    config: { ...config.document, rootfs: undefined },
    diffIds: config.diffIds.map((diffId, index) => diffId === manifest.layers[index]?.digest),
    mediaTypes: [
      manifest.mediaType,
      manifest.config.mediaType,
      ...manifest.layers.map((layer) => layer.mediaType),
    ],
    annotations: manifest.layers.map((layer) => layer.annotations),
    manifestAnnotations: {
      ...manifest.annotations,
      "containerd.io/snapshot/nydus-source-reference": undefined,
    },
    files: files.map(({ name, type, mode }) => ({ name: named(name), type, mode })),
    metas: files
      .filter(({ name }) => name.endsWith(".blob.meta"))
      .map(({ bytes }) => {
        const { features, chunkCount } = decodeBlobMetaFile(bytes).header;
        return { features, chunkCount };
      }),
    blobs: sameNumbers ? blobs : undefined,
    blobTable: bootstrap.blobs.map((blob) => ({
      id: named(blob.id),
      features: blob.features,
      chunkCount: blob.chunkCount,
      decodedSize: blob.decodedSize,
      compressor: blob.compressor,
      digester: blob.digester,
      toc: [blob.tocSize, blob.tocDigest],
    })),
  };
}

describe("an image converted like nydusify does", () => {
  it("has the form of nydusify 2.4.4 in manifest, configuration, bootstrap layer and blobs", async () => {
    await using directory = await temporaryDirectory();
    await convertFixture(directory.path);
    const golden = fixturePath("golden", "nydusify", "native");
    const ours = await readConverted(openConverted(directory.path));
    const theirs = await readConverted(openLayoutSource(golden, "native"));
    assert.deepEqual(
      await formOf(ours, join(directory.path, "out", "blobs", "sha256"), true),
      await formOf(theirs, join(golden, "blobs", "sha256"), true),
    );
  });

  it("has the form of nydusify 2.4.4 with lz4 and chunks of 64 KiB, and readable blob.meta files", async () => {
    await using directory = await temporaryDirectory();
    await convertFixture(directory.path, { compressor: "lz4_block", chunkSize: 65536 });
    const golden = fixturePath("golden", "nydusify", "lz4-64k");
    const ours = await readConverted(openConverted(directory.path));
    const theirs = await readConverted(openLayoutSource(golden, "lz4-64k"));
    // Theirs are the bare header: no reader of a table of contents decodes lz4 (rafs-format 6.3, 21).
    const withoutMetas = (image: ConvertedImage) => ({
      ...image,
      files: image.files.filter(({ name }) => !name.endsWith(".blob.meta")),
    });
    assert.deepEqual(
      await formOf(withoutMetas(ours), join(directory.path, "out", "blobs", "sha256"), false),
      await formOf(withoutMetas(theirs), join(golden, "blobs", "sha256"), false),
    );
    assert.deepEqual(
      ours.files
        .filter(({ name }) => name.endsWith(".blob.meta"))
        .map(({ bytes }) => decodeBlobMetaFile(bytes).header.chunkCount),
      [13, 6, 5],
    );
  });
});
