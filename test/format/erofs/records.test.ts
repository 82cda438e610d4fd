import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CHUNK_INDEX_SIZE, decodeChunkIndex, encodeChunkIndex } from "#src/format/erofs/chunk-index.js";
import { decodeDeviceNumber, encodeDeviceNumber } from "#src/format/erofs/device-number.js";
import { DEVICE_SLOT_SIZE, decodeDeviceSlot, encodeDeviceSlot } from "#src/format/erofs/device-slot.js";
import { DIRENT_SIZE, decodeDirent, encodeDirent } from "#src/format/erofs/dirent.js";
import { checkRecord } from "../../support/record.ts";

describe("a directory entry", () => {
  it("has a nid of 64 bits", () => {
    const codec = { size: DIRENT_SIZE, decode: decodeDirent, encode: encodeDirent };
    checkRecord(codec, "8000000001000000 2400 02 00", { nid: 0x1_0000_0080, nameOffset: 36, fileType: 2 });
  });
});

describe("a chunk index", () => {
  const codec = { size: CHUNK_INDEX_SIZE, decode: decodeChunkIndex, encode: encodeChunkIndex };

  it("is that of sync_io.rs in a bootstrap of nydus 2.2", () => {
    checkRecord(codec, "0100 0100 05000000", { blobIndex: 0, chunkIndex: 1, startBlock: 5 });
  });

  it("keeps the high byte of the chunk index beside the blob", () => {
    checkRecord(codec, "cdab fe12 ffffffff", {
      blobIndex: 253,
      chunkIndex: 0x12_abcd,
      startBlock: 0xffff_ffff,
    });
  });
});

describe("a device slot", () => {
  const codec = { size: DEVICE_SLOT_SIZE, decode: decodeDeviceSlot, encode: encodeDeviceSlot };

  it("holds a tag of 64 characters", () => {
    const hex = `${"61".repeat(64)} 09000000 80000000 ${"00".repeat(56)}`;
    checkRecord(codec, hex, { tag: "a".repeat(64), blocks: 9, mappedStartBlock: 128 });
  });

  it("pads a shorter tag with NULs", () => {
    const hex = `6162 ${"00".repeat(62)} 01000000 00000000 ${"00".repeat(56)}`;
    checkRecord(codec, hex, { tag: "ab", blocks: 1, mappedStartBlock: 0 });
  });
});

describe("a device number", () => {
  it("is split as the kernel splits it", () => {
    for (const [number, device] of [
      [0x103, { major: 1, minor: 3 }],
      [0x801, { major: 8, minor: 1 }],
      [0x0010_0801, { major: 8, minor: 0x101 }],
      [0xffff_ffff, { major: 4095, minor: 1_048_575 }],
    ] as const) {
      assert.deepEqual(decodeDeviceNumber(number), device);
      assert.equal(encodeDeviceNumber(device), number);
    }
  });
});
