import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { concatBytes, equalBytes, toHex, viewOf } from "#src/base/bytes.js";
import { isCoded } from "#src/base/errors.js";
import type { Bootstrap } from "#src/image/bootstrap.js";
import { readBootstrapV5 } from "#src/image/bootstrap-v5-reader.js";
import { chunkTableOfV5 } from "#src/image/chunk-table-v5.js";
import { countLinks, type Inode, listTree, type RegularFile } from "#src/image/tree.js";
import { readJsonLines } from "../support/fixtures.ts";
import { findGoldenBlob, type GoldenBootstrap, goldenBootstrap } from "../support/golden-blobs.ts";
import { decodeStored, digestOf } from "../support/raw-codecs.ts";

const MADE = ["made/v5", "made/v5-lz4-aligned"];
const ALL = [
  ...MADE,
  "nydusify/v5",
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

interface GoldenRow {
  readonly path: string;
  readonly mtimeNs: string;
  readonly [field: string]: unknown;
}

/** A name as nydusd.jsonl shows it. Times are left out where nydusd shows its own. */
function rowsOf(golden: GoldenBootstrap, bootstrap: Bootstrap): GoldenRow[] {
  const rows = listTree(bootstrap.root);
  const links = countLinks(rows);
  const firstPaths = new Map<Inode, string>();
  return rows.map(({ path, inode }) => {
    const first = firstPaths.get(inode) ?? path;
    firstPaths.set(inode, first);
    const nlink = links.get(inode);
    const { seconds, nanoseconds } = inode.mtime;
    return {
      path,
      type: inode.type,
      mode: inode.mode.toString(8).padStart(4, "0"),
      uid: inode.uid,
      gid: inode.gid,
      mtimeNs: String(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)),
      ...(nlink === undefined ? {} : { nlink }),
      ...(nlink !== undefined && nlink > 1 ? { link: first } : {}),
      ...(inode.type === "symlink" ? { target: inode.target } : {}),
      ...(inode.type === "char" || inode.type === "block" ? { rdev: `${inode.major}:${inode.minor}` } : {}),
      ...(inode.type === "file"
        ? { size: inode.size, sha256: toHex(digestOf("sha256", contentOf(golden, bootstrap, inode))) }
        : {}),
      ...(inode.xattrs.size === 0
        ? {}
        : { xattrs: Object.fromEntries([...inode.xattrs].map(([name, value]) => [name, toHex(value)])) }),
    };
  });
}

describe("readBootstrapV5()", () => {
  for (const name of MADE) {
    it(`reads from ${name} what nydusd shows`, () => {
      const golden = goldenBootstrap(name);
      const found = rowsOf(golden, readBootstrapV5(golden.bytes));
      const expected = readJsonLines("golden", name, "nydusd.jsonl") as { readonly mtimeNs: string }[];
      assert.deepEqual(
        // nydusd shows its start time for a recorded 0.
        found.map((row, index) =>
          row.mtimeNs === "0" ? { ...row, mtimeNs: expected[index]?.mtimeNs } : row,
        ),
        expected,
      );
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
