import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { layoutDirents } from "#src/image/dirent-layout.js";
import { Placement } from "#src/image/placement.js";

describe("Placement", () => {
  it("moves an inode with its tail to a new block when it would straddle two, and fills the gap later", () => {
    const placement = new Placement(4096, 4096);
    assert.equal(placement.placeDevice(4000), 4096);
    assert.deepEqual(placement.placeWithContent(64, 100), {
      offset: 8192,
      contentOffset: 8356,
      isInline: true,
    });
    // 96 bytes are left in the first block.
    assert.equal(placement.placeFile(64), 8096);
    assert.equal(placement.placeFile(64), 8384);
    assert.equal(placement.end, 8448);
  });

  it("never puts a device into a gap", () => {
    const placement = new Placement(4096, 4096);
    placement.placeDevice(4000);
    placement.placeWithContent(64, 100);
    assert.equal(placement.placeDevice(64), 8384);
  });

  it("puts whole blocks of a directory at the next boundary, its tail behind the inode", () => {
    const placement = new Placement(4096, 4096);
    assert.deepEqual(placement.placeWithContent(64, 4096 + 10), {
      offset: 4096,
      contentOffset: 8192,
      isInline: true,
    });
    assert.equal(placement.end, 12_288);
  });

  it("keeps content apart that fills its blocks or does not fit behind the inode", () => {
    for (const contentSize of [4096, 4033]) {
      const placement = new Placement(4096, 4096);
      assert.deepEqual(placement.placeWithContent(64, contentSize), {
        offset: 4096,
        contentOffset: 8192,
        isInline: false,
      });
      assert.equal(placement.end, 12_288);
    }
  });
});

describe("layoutDirents()", () => {
  it("fills a block to its last byte before it starts another", () => {
    const names = Array.from({ length: 256 }, () => "four");
    assert.deepEqual(layoutDirents(names, 4096), { blockStarts: [0], size: 4096 });
    assert.deepEqual(layoutDirents([...names, "more!"], 4096), { blockStarts: [0, 256], size: 4096 + 17 });
  });
});
