import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { concatBytes, equalBytes, toHex, viewOf } from "#src/base/bytes.js";
import { isCoded } from "#src/base/errors.js";
import type { Bootstrap } from "#src/image/bootstrap.js";
import { readBootstrapV5 } from "#src/image/bootstrap-v5-reader.js";
import { chunkTableOfV5 } from "#src/image/chunk-table-v5.js";
import { type Inode, listTree, type RegularFile } from "#src/image/tree.js";
import { readJsonLines } from "../support/fixtures.ts";
import { findGoldenBlob, type GoldenBootstrap, goldenBootstrap } from "../support/golden-blobs.ts";
import { decodeStored, digestOf } from "../support/raw-codecs.ts";
import { recordedRows, treeRows } from "../support/tree-rows.ts";

/** Bootstraps and the folders whose nydusd.jsonl is what they hold. */
const SHOWN_BY_NYDUSD = [
  ["made/v5", "made/v5"],
  ["made/v5-lz4-aligned", "made/v5-lz4-aligned"],
  ["nydusify/v5", "made/merged"],
] as const;
const ALL = [
  ...SHOWN_BY_NYDUSD.map(([name]) => name),
  "nydus/repeatable/blake3-lz4_block-non_repeatable",
  "nydus/repeatable/sha256-nocompress-repeatable",
];

function contentOf(golden: GoldenBootstrap, bootstrap: Bootstrap, file: RegularFile): Uint8Array {
  return concatBytes(
    file.chunks.map((chunk) => {
      const blob = bootstrap.blobs[chunk.blobIndex];
      const bytes = findGoldenBlob(golden.blobFolders, blob?.id ?? "");
      assert.ok(bytes !== undefined && blob !== undefined);
      const { storedOffset = 0, storedSize = 0, decodedSize } = chunk;
      const stored = bytes.subarray(storedOffset, storedOffset + storedSize);
      return decodeStored(storedSize === decodedSize ? "none" : blob.compressor, stored, decodedSize);
    }),
  );
}

/** sha256 of every regular file by its path. */
function digestsOf(golden: GoldenBootstrap, bootstrap: Bootstrap): Map<string, string> {
  const digests = new Map<string, string>();
  for (const { path, inode } of listTree(bootstrap.root)) {
    if (inode.type !== "file") continue;
    digests.set(path, toHex(digestOf("sha256", contentOf(golden, bootstrap, inode))));
  }
  return digests;
}

describe("readBootstrapV5()", () => {
  for (const [name, shown] of SHOWN_BY_NYDUSD) {
    it(`reads from ${name} what nydusd shows`, () => {
      const golden = goldenBootstrap(name);
      const bootstrap = readBootstrapV5(golden.bytes);
      const expected = readJsonLines("golden", shown, "nydusd.jsonl");
      assert.deepEqual(treeRows(bootstrap.root, bootstrap.recordedLinks), recordedRows(expected));
      const digests = new Map(
        expected.filter((row) => "sha256" in row).map(({ path, sha256 }) => [path, sha256]),
      );
      assert.deepEqual(digestsOf(golden, bootstrap), digests);
    });
  }

  for (const name of ALL) {
    it(`verifies every inode digest of ${name} and every chunk against its digest`, () => {
      const golden = goldenBootstrap(name);
      let digests = 0;
      const bootstrap = readBootstrapV5(golden.bytes, {
        digest: (digester, bytes) => {
          digests++;
          return digestOf(digester, bytes);
        },
      });
      assert.equal(digests, listInodes(bootstrap).size);
      let blobsFound = 0;
      for (const [blobIndex, blob] of bootstrap.blobs.entries()) {
        const bytes = findGoldenBlob(golden.blobFolders, blob.id);
        if (bytes === undefined) continue;
        blobsFound++;
        const { table, digests: chunkDigests } = chunkTableOfV5(bootstrap, blobIndex);
        assert.ok(table.count > 0 && table.count <= blob.chunkCount);
        for (let index = 0; index < table.count; index++) {
          const start = table.storedOffsets[index] ?? 0;
          const stored = bytes.subarray(start, start + (table.storedSizes[index] ?? 0));
          if (stored.length === 0) continue;
          const compressor = table.isCompressed(index) ? blob.compressor : "none";
          const decoded = decodeStored(compressor, stored, table.decodedSizes[index] ?? 0);
          const digest = digestOf(blob.digester, decoded);
          assert.ok(equalBytes(digest, chunkDigests.subarray(index * 32, index * 32 + 32)), `chunk ${index}`);
        }
      }
      assert.equal(blobsFound, bootstrap.blobs.length);
    });
  }

  it("fails with ERR_DIGEST_MISMATCH when a link target was changed", () => {
    const bytes = goldenBootstrap("made/v5").bytes.slice();
    const at = new TextDecoder("latin1").decode(bytes).indexOf("/absolute/nowhere");
    bytes[at + 1] = 0x41;
    assert.throws(
      () => readBootstrapV5(bytes, { digest: digestOf }),
      (error) => isCoded(error, "ERR_DIGEST_MISMATCH"),
    );
    assert.doesNotThrow(() => readBootstrapV5(bytes));
  });

  it("lists the paths of the prefetch table", () => {
    const golden = goldenBootstrap("nydusify/v5");
    assert.deepEqual(readBootstrapV5(golden.bytes).prefetch, ["/"]);
  });

  it("refuses an inode table whose rows all name one record", () => {
    const bytes = goldenBootstrap("made/v5").bytes.slice();
    const view = viewOf(bytes);
    const table = Number(view.getBigUint64(32, true));
    const rows = view.getUint32(56, true);
    for (let row = 1; row < rows; row++)
      view.setUint32(table + row * 4, view.getUint32(table + 4, true), true);
    assert.throws(
      () => readBootstrapV5(bytes),
      (error) => isCoded(error, "ERR_BOOTSTRAP_CORRUPT"),
    );
  });

  it("gives a tree or a coded error whatever bytes change", () => {
    const { bytes } = goldenBootstrap("nydus/repeatable/sha256-nocompress-repeatable");
    const changes = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(changes, (list) => {
        const changed = bytes.slice();
        for (const [at, value] of list) changed[at] = value;
        try {
          const bootstrap = readBootstrapV5(changed);
          for (const blobIndex of bootstrap.blobs.keys()) chunkTableOfV5(bootstrap, blobIndex);
        } catch (error) {
          if (!isCoded(error)) throw error;
        }
      }),
      { numRuns: 300 },
    );
  });
});

/** Names whose record is decoded: hard links beyond the first are not. */
function listInodes(bootstrap: Bootstrap): Set<Inode> {
  return new Set(listTree(bootstrap.root).map(({ inode }) => inode));
}
