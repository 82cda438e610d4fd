import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseMountTable } from "#src/mount/mount-table.js";

describe("parseMountTable()", () => {
  it("reads rows with and without optional fields, and unescapes paths", () => {
    const text =
      "36 35 98:0 / / rw,noatime master:1 - ext4 /dev/root rw,errors=continue\n" +
      "42 27 0:39 / /mnt/a\\040b\\134c ro,nosuid - fuse.nydus my\\011image ro,user_id=0\n" +
      "\nnonsense\n";
    assert.deepEqual(parseMountTable(text), [
      { mountpoint: "/", device: "98:0", type: "ext4", source: "/dev/root" },
      { mountpoint: "/mnt/a b\\c", device: "0:39", type: "fuse.nydus", source: "my\timage" },
    ]);
  });
});
