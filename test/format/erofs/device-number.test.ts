import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeDeviceNumber, encodeDeviceNumber } from "#src/format/erofs/device-number.js";

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
