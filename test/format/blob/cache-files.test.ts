import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { toHex } from "#src/base/bytes.js";
import { isCoded } from "#src/base/errors.js";
import { blobMetaFileSize, decodeBlobMetaFile, encodeBlobMetaFile } from "#src/format/blob/blob-meta-file.js";
import { findBlobSections, SECTION_NAMES } from "#src/format/blob/blob-sections.js";
import {
  CHUNK_INFORMATION_HEADER_SIZE,
  decodeChunkInformationHeader,
} from "#src/format/blob/chunk-information-header.js";
import {
  chunkMapBit,
  chunkMapSize,
  decodeChunkMap,
  encodeChunkMap,
  encodeChunkMapHeader,
  isChunkReady,
} from "#src/format/blob/chunk-map.js";
import { readBootstrap } from "#src/image/bootstrap-reader.js";
import { fixturePath, readFixture } from "../../support/fixtures.ts";
import { findGoldenBlob, goldenBootstrap, tarFile } from "../../support/golden-blobs.ts";
import { decodeStored } from "../../support/raw-codecs.ts";

/** Runs whose cache was kept, and the name of their blob. */
const CACHES = ["v6-zstd-blake3", "v6-batch"].map((run) => {
  const names = readdirSync(fixturePath("golden", "made", run, "cache"));
  const id = names[0]?.split(".")[0] ?? "";
  return { run, id, names };
});

function cacheFile(run: string, name: string): Uint8Array {
  return new Uint8Array(readFixture("golden", "made", run, "cache", name));
}

describe("a blob meta file", () => {
  for (const { run, id } of CACHES) {
    it(`of nydusd's cache of ${run} is encoded to the same bytes`, () => {
      const bytes = cacheFile(run, `${id}.blob.meta`);
      const file = decodeBlobMetaFile(bytes);
      assert.equal(file.chunkInformation.length, file.header.decodedSize);
      assert.equal(blobMetaFileSize(file.header.decodedSize), bytes.length);
      assert.deepEqual(encodeBlobMetaFile(file), bytes);
    });
  }

  it("of every blob in a bootstrap layer of nydusify is encoded to the same bytes from the blob itself", async () => {
    const { archive = new Uint8Array(), bytes: bootstrap, blobFolders } = goldenBootstrap("nydusify/native");
    const { blobs } = readBootstrap(bootstrap);
    assert.equal(blobs.length, 3);
    for (const { id } of blobs) {
      const blob = findGoldenBlob(blobFolders, id) ?? new Uint8Array();
      const { sections } = await findBlobSections(blob.length, async (offset, length) =>
        blob.subarray(offset, offset + length),
      );
      const section = sections.get(SECTION_NAMES.CHUNK_INFORMATION);
      assert.ok(section !== undefined);
      const end = section.offset + section.storedSize;
      const header = decodeChunkInformationHeader(blob.subarray(end, end + CHUNK_INFORMATION_HEADER_SIZE));
      const stored = blob.subarray(section.offset, end);
      const chunkInformation = decodeStored(section.compressor, stored, header.decodedSize);
      const expected = tarFile(archive, `image/${id}.blob.meta`);
      assert.deepEqual(encodeBlobMetaFile({ header, chunkInformation }), new Uint8Array(expected ?? []));
    }
  });

  it("is refused when cut, longer than its header says, or without magic number", () => {
    const { run, id } = CACHES[0] as (typeof CACHES)[number];
    const bytes = cacheFile(run, `${id}.blob.meta`);
    const longer = new Uint8Array(bytes.length + 4096);
    longer.set(bytes, 4096);
    const changed = bytes.slice();
    changed[changed.length - 1] = 0;
    for (const wrong of [bytes.subarray(1), bytes.subarray(4096), longer, changed, new Uint8Array(10)]) {
      assert.throws(
        () => decodeBlobMetaFile(wrong),
        (error) => isCoded(error, "ERR_BLOB_CORRUPT"),
      );
    }
  });
});

describe("a chunk map", () => {
  for (const { run, id } of CACHES) {
    it(`of nydusd's cache of ${run} is encoded to the same bytes`, () => {
      const { header } = decodeBlobMetaFile(cacheFile(run, `${id}.blob.meta`));
      const bytes = cacheFile(run, `${id}.blob.data.chunk_map`);
      const map = decodeChunkMap(bytes, header.chunkCount);
      assert.deepEqual(encodeChunkMap(map), bytes);
      for (let index = 0; index < header.chunkCount; index++)
        assert.ok(isChunkReady(map, index), `chunk ${index}`);
    });
  }

  it("has the most significant bit first", () => {
    const map = decodeChunkMap(
      encodeChunkMap({ isAllReady: false, bits: new Uint8Array([0b1000_0001, 0x40]) }),
      10,
    );
    const ready = [...Array(10).keys()].filter((index) => isChunkReady(map, index));
    assert.deepEqual(ready, [0, 7, 9]);
    assert.deepEqual(chunkMapBit(9), { offset: 4097, mask: 0x40 });
  });

  it("has every chunk ready when its header says so", () => {
    const map = decodeChunkMap(encodeChunkMap({ isAllReady: true, bits: new Uint8Array(1) }), 3);
    assert.ok(isChunkReady(map, 2));
    assert.equal(toHex(encodeChunkMapHeader(true).subarray(0, 16)), "50414d420100000050414d4350414d4d");
  });

  it("of zeros is one in which no chunk is ready", () => {
    const map = decodeChunkMap(new Uint8Array(chunkMapSize(9)), 9);
    assert.equal(map.isAllReady, false);
    assert.equal(isChunkReady(map, 0), false);
  });

  it("is refused with another length, a wrong magic number, or for no chunks", () => {
    const sound = encodeChunkMap({ isAllReady: false, bits: new Uint8Array(2) });
    const changed = sound.slice();
    changed[0] = 0;
    for (const [bytes, count] of [
      [sound, 17],
      [sound, 8],
      [changed, 16],
      [encodeChunkMapHeader(false), 0],
    ] as const) {
      assert.throws(
        () => decodeChunkMap(bytes, count),
        (error) => isCoded(error, "ERR_CACHE_CORRUPT"),
      );
    }
  });
});
