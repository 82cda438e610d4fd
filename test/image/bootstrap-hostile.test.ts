import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CodedError } from "#src/base/errors.js";
import { readBootstrap } from "#src/image/bootstrap-reader.js";
import { BootstrapView } from "#src/image/bootstrap-view.js";
import { goldenBootstrap } from "../support/golden-blobs.ts";

/** Reads everything there is through both readers; any error but a coded one is a bug. */
function readAll(bytes: Uint8Array): void {
  expectCoded(() => readBootstrap(bytes));
  expectCoded(() => {
    const view = new BootstrapView(bytes);
    const seen = new Set<number>();
    const pending = [view.rootNid];
    for (let nid = pending.pop(); nid !== undefined; nid = pending.pop()) {
      if (seen.has(nid)) continue;
      seen.add(nid);
      readInode(view, nid, pending);
    }
  });
}

function readInode(view: BootstrapView, nid: number, pending: number[]): void {
  expectCoded(() => {
    const inode = view.inode(nid);
    expectCoded(() => view.xattrs(inode));
    expectCoded(() => view.lookup(inode, "m"));
    expectCoded(() => view.readlink(inode));
    expectCoded(() => {
      const count = Math.min(view.chunkCount(inode), 100);
      for (let k = 0; k < count; k++) expectCoded(() => view.chunkIndex(inode, k));
    });
    for (const entry of view.entries(inode)) pending.push(entry.nid);
  });
}

function expectCoded(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
  }
}

describe("reading a hostile bootstrap", () => {
  const merged = goldenBootstrap("made/merged").bytes;

  it("gives a result or a coded error for every u32 set to an extreme", { timeout: 60_000 }, () => {
    const bytes = new Uint8Array(merged);
    const view = new DataView(bytes.buffer);
    for (let offset = 1024; offset < bytes.length; offset += 4) {
      const before = view.getUint32(offset, true);
      // Zeroes far from any other byte are padding.
      if (before === 0 && offset >= 1408 && view.getUint32(offset - 4, true) === 0) continue;
      for (const value of [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, before + 1, before - 1]) {
        view.setUint32(offset, value, true);
        readAll(bytes);
      }
      view.setUint32(offset, before, true);
    }
    assert.deepEqual(bytes, new Uint8Array(merged));
  });

  it("gives a result or a coded error for any bytes changed", { timeout: 60_000 }, () => {
    const change = fc.tuple(fc.nat(merged.length - 1), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const bytes = new Uint8Array(merged);
        for (const [offset, value] of changes) bytes[offset] = value;
        readAll(bytes);
      }),
      { numRuns: 300 },
    );
  });

  it("gives a coded error for an image cut anywhere", () => {
    for (let length = 0; length < merged.length; length += 512) {
      assert.throws(() => readBootstrap(merged.subarray(0, length)), CodedError);
    }
  });
});
