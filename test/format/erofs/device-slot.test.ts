import { describe, it } from "node:test";
import { DEVICE_SLOT_SIZE, decodeDeviceSlot, encodeDeviceSlot } from "#src/format/erofs/device-slot.js";
import { checkRecord } from "../../support/record.ts";

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
