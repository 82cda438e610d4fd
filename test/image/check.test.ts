import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { viewOf } from "#src/base/bytes.js";
import { decodeBlobMetaFile } from "#src/format/blob/blob-meta-file.js";
import { decodeChunkTable } from "#src/format/blob/chunk-information.js";
import { readBootstrap } from "#src/image/bootstrap-reader.js";
import { checkBootstrap } from "#src/image/check.js";
import { checkBlobTable } from "#src/image/check-blob-table.js";
import type { Blob } from "#src/image/chunk.js";
import { FINDINGS, type FindingCode, MAX_FINDINGS } from "#src/image/finding.js";
import { readFixture } from "../support/fixtures.ts";
import { goldenBootstrap, listGoldenBootstraps } from "../support/golden-blobs.ts";
import { AT, PatchedBootstrap } from "../support/patched-bootstrap.ts";
import { digestOf } from "../support/raw-codecs.ts";

/** What the golden images must have found on them; nothing for all others. */
const EXPECTED: Readonly<Record<string, readonly FindingCode[]>> = {
  "made/layer1": ["blob-id-placeholder"],
  "made/layer2": ["blob-id-placeholder"],
  "made/layer3": ["blob-id-placeholder"],
  "made/v6-inline": ["blob-id-placeholder"],
  "made/v6-inline-toc": ["blob-id-placeholder"],
  // nydus 2.4.4 places link targets of over 512 bytes where the kernel does not read them.
  "made/tarfs": ["feature-unsupported", "symlink-target-invalid"],
  "made/targz-ref": ["feature-unsupported"],
  "made/v6-batch": ["feature-unsupported"],
  "made/v6-encrypt": ["feature-unsupported"],
  "nydusify/batch": ["feature-unsupported"],
  "nydusify/zran": ["feature-unsupported"],
};

/** One change to a golden image, and what it must be found as. */
interface Mutation {
  readonly what: string;
  readonly code: FindingCode;
  /** @default "made/v6-prefetch" */
  readonly image?: string;
  readonly change: (image: PatchedBootstrap) => void;
}

const BASE = "made/v6-prefetch";

const MUTATIONS: readonly Mutation[] = [
  { what: "magic", code: "magic-invalid", change: (b) => b.u32(AT.superblock, 1) },
  { what: "a checksum", code: "checksum-set", change: (b) => b.u32(AT.superblock + 4, 1) },
  { what: "no RAFS mark", code: "rafs-mark-missing", change: (b) => b.u32(AT.superblock + 8, 0) },
  { what: "2^13 byte blocks", code: "block-size-invalid", change: (b) => b.u8(AT.superblock + 12, 13) },
  { what: "2^200 byte blocks", code: "block-size-invalid", change: (b) => b.u8(AT.superblock + 12, 200) },
  { what: "512 byte blocks", code: "feature-unsupported", change: (b) => b.u8(AT.superblock + 12, 9) },
  { what: "extension slots", code: "superblock-field-set", change: (b) => b.u8(AT.superblock + 13, 1) },
  { what: "root nid 0", code: "root-invalid", change: (b) => b.u16(AT.superblock + 14, 0) },
  {
    what: "a file as root",
    code: "root-invalid",
    change: (b) => b.u16(b.inode("/").offset + 4, 0o100755),
  },
  { what: "0 inodes", code: "inode-count-zero", change: (b) => b.u64(AT.superblock + 16, 0) },
  { what: "few inodes", code: "inode-count-too-small", change: (b) => b.u64(AT.superblock + 16, 9) },
  { what: "a huge inode count", code: "number-too-large", change: (b) => b.u32(AT.superblock + 20, 2 ** 31) },
  {
    what: "metadata behind the end",
    code: "metadata-outside-image",
    change: (b) => b.u32(AT.superblock + 40, 2 ** 30),
  },
  { what: "shared xattrs", code: "superblock-field-set", change: (b) => b.u32(AT.superblock + 44, 3) },
  {
    what: "compressed files",
    code: "incompat-features-invalid",
    change: (b) => b.u32(AT.superblock + 80, 0xd),
  },
  { what: "lz4 settings", code: "superblock-field-set", change: (b) => b.u16(AT.superblock + 84, 1) },
  { what: "one more device", code: "device-count-mismatch", change: (b) => b.u16(AT.superblock + 86, 2) },
  {
    what: "no device, no blob, but blocks",
    code: "blocks-without-devices",
    change: (b) => {
      b.u16(AT.superblock + 86, 0);
      b.u32(AT.superblock + 36, 7);
    },
  },
  {
    what: "another device table",
    code: "device-table-misplaced",
    change: (b) => b.u16(AT.superblock + 88, 12),
  },
  { what: "an unknown flag", code: "super-flags-unknown", change: (b) => b.u32(AT.extended, 0x8000 | 0x85) },
  { what: "flags over 32 bits", code: "super-flags-unknown", change: (b) => b.u32(AT.extended + 4, 1) },
  { what: "two compressors", code: "compressor-flags-invalid", change: (b) => b.u32(AT.extended, 0x87) },
  { what: "no digester", code: "digester-flags-invalid", change: (b) => b.u32(AT.extended, 0x80) },
  {
    what: "the flag of chunk digests",
    code: "digest-flag-without-feature",
    change: (b) => b.u32(AT.extended, 0x194),
  },
  { what: "chunks of 3000 bytes", code: "chunk-size-invalid", change: (b) => b.u32(AT.extended + 20, 3000) },
  { what: "a shifted blob table", code: "table-misaligned", change: (b) => b.u64(AT.extended + 8, 4104) },
  { what: "half a blob row", code: "table-size-invalid", change: (b) => b.u32(AT.extended + 16, 384) },
  {
    what: "a chunk table behind the end",
    code: "table-outside-image",
    change: (b) => b.u64(AT.extended + 24, 2 ** 40),
  },
  {
    what: "the prefetch table in the blob table",
    code: "tables-overlap",
    change: (b) => b.u64(AT.extended + 40, 4096 + 8),
  },
  {
    what: "another id in the device table",
    code: "device-tag-mismatch",
    change: (b) => b.text(AT.devices, "0"),
  },
  {
    what: "one device twice",
    code: "device-tag-duplicate",
    image: "made/merged",
    change: (b) => b.bytes.copyWithin(AT.devices + 128, AT.devices, AT.devices + 64),
  },
  { what: "0 blocks", code: "device-blocks-zero", change: (b) => b.u32(AT.devices + 64, 0) },
  { what: "few blocks", code: "device-blocks-mismatch", change: (b) => b.u32(AT.devices + 64, 1) },
  {
    what: "devices over each other",
    code: "device-mapping-overlap",
    image: "made/merged",
    change: (b) => b.u32(AT.devices + 128 + 68, 0),
  },
  {
    what: "a path as id",
    code: "blob-id-invalid",
    change: (b) => b.text(b.blobTable, "../../../etc/passwd"),
  },
  {
    what: "the placeholder id",
    code: "blob-id-placeholder",
    change: (b) => {
      b.text(b.blobTable, "x".repeat(64));
      b.u32(b.blobTable + 84, 0x40000003);
    },
  },
  { what: "another index", code: "blob-index-mismatch", change: (b) => b.u32(b.blobTable + 64, 1) },
  { what: "other chunks", code: "blob-chunk-size-mismatch", change: (b) => b.u32(b.blobTable + 68, 4096) },
  { what: "0 chunks", code: "blob-chunk-count-invalid", change: (b) => b.u32(b.blobTable + 72, 0) },
  {
    what: "2^24 + 1 chunks",
    code: "blob-chunk-count-invalid",
    change: (b) => b.u32(b.blobTable + 72, 2 ** 24 + 1),
  },
  { what: "compressor 9", code: "blob-compressor-unknown", change: (b) => b.u32(b.blobTable + 76, 9) },
  { what: "CI compressor 9", code: "blob-compressor-unknown", change: (b) => b.u32(b.blobTable + 108, 9) },
  { what: "digester 9", code: "blob-digester-unknown", change: (b) => b.u32(b.blobTable + 80, 9) },
  {
    what: "feature 0x1000",
    code: "blob-features-unknown",
    change: (b) => b.u32(b.blobTable + 84, 0x40001001),
  },
  { what: "zran", code: "feature-unsupported", change: (b) => b.u32(b.blobTable + 84, 0x4000000d) },
  { what: "a cipher", code: "feature-unsupported", change: (b) => b.u32(b.blobTable + 216, 1) },
  {
    what: "a separate blob",
    code: "feature-unsupported",
    change: (b) => b.u32(b.blobTable + 84, 0x40000011),
  },
  { what: "2^41 stored bytes", code: "blob-size-invalid", change: (b) => b.u64(b.blobTable + 88, 2 ** 41) },
  {
    what: "unaligned chunks",
    code: "blob-alignment-invalid",
    change: (b) => b.u32(b.blobTable + 84, 0x40000000),
  },
  { what: "a TOC of 600 bytes", code: "blob-toc-size-invalid", change: (b) => b.u32(b.blobTable + 104, 600) },
  {
    what: "batches with V1 rows",
    code: "chunk-information-form-invalid",
    change: (b) => b.u32(b.blobTable + 84, 0x40000081),
  },
  {
    what: "a short CI",
    code: "chunk-information-size-invalid",
    change: (b) => b.u64(b.blobTable + 128, 16),
  },
  {
    what: "a CI that grows",
    code: "chunk-information-size-invalid",
    change: (b) => b.u64(b.blobTable + 120, 2 ** 30),
  },
  {
    what: "a nid behind the end",
    code: "inode-outside-image",
    change: (b) => b.u32(b.dirent("/names", "!bang"), 2 ** 30),
  },
  {
    what: "xattrs over the end",
    code: "inode-outside-image",
    change: (b) => {
      // The chunk table is the last thing in the image: what is read there as an inode has no room for xattrs.
      const nid = Math.floor((b.bytes.length - 64 - b.inode("/").offset + b.inode("/").nid * 32) / 32);
      const offset = b.inode("/").offset + (nid - b.inode("/").nid) * 32;
      b.bytes.copyWithin(offset, b.inode("/names/!bang").offset, b.inode("/names/!bang").offset + 64);
      b.u16(offset + 2, 0xffff);
      b.u32(b.dirent("/names", "!bang"), nid);
    },
  },
  {
    what: "format bits",
    code: "inode-format-invalid",
    change: (b) => b.u16(b.inode("/names/!bang").offset, 0x8009),
  },
  {
    what: "a mode without type",
    code: "inode-type-invalid",
    change: (b) => b.u16(b.inode("/names/!bang").offset + 4, 0o644),
  },
  {
    what: "a plain file",
    code: "inode-layout-invalid",
    change: (b) => b.u16(b.inode("/names/!bang").offset, 1),
  },
  {
    what: "0 links",
    code: "inode-nlink-zero",
    change: (b) => b.u32(b.inode("/names/!bang").offset + 44, 0),
  },
  {
    what: "7 links",
    code: "inode-nlink-mismatch",
    change: (b) => b.u32(b.inode("/names/!bang").offset + 44, 7),
  },
  {
    what: "7 links of a directory",
    code: "inode-nlink-mismatch",
    change: (b) => b.u32(b.inode("/names").offset + 44, 7),
  },
  {
    what: "10^9 ns",
    code: "inode-mtime-invalid",
    change: (b) => b.u32(b.inode("/names/!bang").offset + 40, 1e9),
  },
  {
    what: "an inode number of 2^31",
    code: "inode-ino-invalid",
    change: (b) => b.u32(b.inode("/names/!bang").offset + 20, 2 ** 31),
  },
  {
    what: "a size of 2^60",
    code: "number-too-large",
    change: (b) => b.u32(b.inode("/names/!bang").offset + 12, 2 ** 28),
  },
  {
    what: "directories that claim one block each",
    code: "inodes-overlap",
    change: (b) => {
      for (let name = 0; name < 420; name++) {
        const { offset } = b.inode(`/dirs/many/${String(name).padStart(4, "0")}`);
        b.u16(offset, 1);
        b.u16(offset + 4, 0o120777);
        b.u64(offset + 8, 4095);
        b.u32(offset + 16, 0);
      }
    },
  },
  {
    what: "an inline target that is too long for its block",
    code: "inline-crosses-block",
    change: (b) => b.u64(b.inode("/links/len4031").offset + 8, 4090),
  },
  {
    what: "content behind the end",
    code: "content-outside-image",
    change: (b) => b.u32(b.inode("/links/len4095").offset + 16, 2 ** 30),
  },
  {
    what: "an xattr longer than its area",
    code: "xattrs-invalid",
    change: (b) => b.u16(b.inode("/xattrs/cap").offset + 64 + 12 + 2, 0xff00),
  },
  {
    what: "an unknown xattr prefix",
    code: "xattrs-invalid",
    change: (b) => b.u8(b.inode("/xattrs/cap").offset + 64 + 12 + 1, 99),
  },
  {
    what: "an empty target",
    code: "symlink-target-invalid",
    change: (b) => b.u64(b.inode("/links/rel").offset + 8, 0),
  },
  {
    what: "a target with a NUL",
    code: "symlink-target-invalid",
    change: (b) => b.u8(b.inode("/links/rel").bodyOffset, 0),
  },
  {
    what: "an empty directory content",
    code: "directory-size-invalid",
    change: (b) => b.u64(b.inode("/names").offset + 8, 0),
  },
  {
    what: "a first name offset of 13",
    code: "dirent-name-offset-invalid",
    change: (b) => b.u16(b.direntBlock("/names") + 8, 13),
  },
  {
    what: "name offsets that fall",
    code: "dirent-name-offset-invalid",
    change: (b) => b.u16(b.dirent("/names", "seed7") + 8, 12),
  },
  {
    what: "a name with a slash",
    code: "dirent-name-invalid",
    change: (b) =>
      b.u8(b.direntBlock("/names") + b.view.getUint16(b.dirent("/names", "seed7") + 8, true), 0x2f),
  },
  {
    what: "names out of order",
    code: "dirent-order-invalid",
    change: (b) =>
      b.u8(b.direntBlock("/names") + b.view.getUint16(b.dirent("/names", "seed7") + 8, true), 0x20),
  },
  { what: "nid 0", code: "dirent-nid-invalid", change: (b) => b.u64(b.dirent("/names", "!bang"), 0) },
  {
    what: "a nid of 2^60",
    code: "dirent-nid-invalid",
    change: (b) => b.u64(b.dirent("/names", "!bang"), 2 ** 60),
  },
  {
    what: "a wrong type",
    code: "dirent-type-mismatch",
    change: (b) => b.u8(b.dirent("/names", "!bang") + 10, 2),
  },
  {
    what: "no .",
    code: "dot-missing",
    change: (b) =>
      b.u8(b.direntBlock("/links/sub") + b.view.getUint16(b.direntBlock("/links/sub") + 8, true), 0x21),
  },
  { what: "another ..", code: "dot-wrong", change: (b) => b.u64(b.dirent("/links/sub", ".."), 999) },
  {
    what: "a directory inside itself",
    code: "directory-found-twice",
    change: (b) => b.u64(b.dirent("/links", "sub"), b.inode("/links").nid),
  },
  {
    what: "a file in 2 directories' chunk format",
    code: "chunk-format-invalid",
    change: (b) => b.u32(b.inode("/sizes/f4097").offset + 16, 8),
  },
  {
    what: "smaller chunks than the image's",
    code: "chunk-format-invalid",
    change: (b) => b.u32(b.inode("/sizes/f4097").offset + 16, 0x24),
  },
  {
    what: "one extent of chunks that do not follow each other",
    code: "chunk-extent-broken",
    change: (b) => {
      b.u32(b.inode("/sizes/f3145745").offset + 16, 0x2a);
      const array = b.chunkArray("/sizes/f3145745");
      b.bytes.copyWithin(array + 8, array + 16, array + 24);
    },
  },
  {
    what: "an array behind the end",
    code: "chunk-array-outside-image",
    change: (b) => b.u64(b.inode("/sizes/f4097").offset + 8, 2 ** 50),
  },
  {
    what: "device 0",
    code: "chunk-blob-invalid",
    change: (b) => b.u8(b.chunkArray("/sizes/f4097") + 2, 0),
  },
  {
    what: "blob 8",
    code: "chunk-blob-invalid",
    change: (b) => b.u8(b.chunkArray("/sizes/f4097") + 2, 9),
  },
  {
    what: "a chunk index over the count",
    code: "chunk-index-invalid",
    change: (b) => b.u16(b.chunkArray("/sizes/f4097"), 0xffff),
  },
  {
    what: "a start behind the blob",
    code: "chunk-outside-blob",
    change: (b) => b.u32(b.chunkArray("/sizes/f4097") + 4, 2 ** 31),
  },
  { what: "no chunk table", code: "chunk-table-missing", change: (b) => b.u64(AT.extended + 32, 0) },
  {
    what: "rows out of order",
    code: "chunk-table-unsorted",
    change: (b) => b.u8(b.chunkTable, 0xff),
  },
  {
    what: "a record of blob 3",
    code: "chunk-record-blob-invalid",
    change: (b) => b.u32(b.chunkTable + 32, 3),
  },
  {
    what: "a record of chunk 65535",
    code: "chunk-record-index-invalid",
    change: (b) => b.u32(b.chunkTable + 72, 65535),
  },
  {
    what: "a record that ends behind the blob",
    code: "chunk-record-range-invalid",
    change: (b) => b.u64(b.chunkTable + 48, 2 ** 39),
  },
  { what: "an empty record", code: "chunk-record-range-invalid", change: (b) => b.u32(b.chunkTable + 44, 0) },
  {
    what: "two records of one chunk",
    code: "chunk-record-duplicate",
    change: (b) => b.bytes.copyWithin(b.chunkTable + 80 + 32, b.chunkTable + 32, b.chunkTable + 80),
  },
  {
    what: "a chunk stored before its time",
    code: "chunk-record-order-invalid",
    change: (b) => {
      const row = [...Array(467).keys()].find(
        (k) => b.view.getUint32(b.chunkTable + k * 80 + 72, true) === 9,
      );
      b.u64(b.chunkTable + (row ?? 0) * 80 + 48, 0);
    },
  },
  {
    what: "a chunk without record",
    code: "chunk-record-missing",
    change: (b) => b.u64(AT.extended + 32, Number(b.view.getBigUint64(AT.extended + 32, true)) - 80),
  },
  {
    what: "a record without file",
    code: "chunk-record-unused",
    change: (b) => b.u64(b.inode("/sizes/f4097").offset + 8, 0),
  },
  {
    what: "another start than the record's",
    code: "chunk-record-start-mismatch",
    change: (b) => b.u32(b.chunkArray("/sizes/f4097") + 4, 0),
  },
  {
    what: "another size than the record's",
    code: "chunk-record-size-mismatch",
    change: (b) => b.u64(b.inode("/sizes/f4097").offset + 8, 4000),
  },
  {
    what: "a prefetched inode that is not there",
    code: "prefetch-nid-invalid",
    change: (b) => b.u32(b.prefetchTable, 129),
  },
];

const V5 = "made/v5";

const V5_MUTATIONS: readonly {
  readonly what: string;
  readonly code: FindingCode;
  readonly change: (view: DataView) => void;
}[] = [
  { what: "version 0x400", code: "v5-superblock-invalid", change: (view) => view.setUint32(4, 0x400, true) },
  {
    what: "another super-block size",
    code: "v5-superblock-invalid",
    change: (view) => view.setUint32(8, 1, true),
  },
  {
    what: "chunks of 5000 bytes",
    code: "chunk-size-invalid",
    change: (view) => view.setUint32(12, 5000, true),
  },
  {
    what: "an unknown flag",
    code: "super-flags-unknown",
    change: (view) => view.setUint32(16, 0x4085, true),
  },
  { what: "0 inodes", code: "inode-count-zero", change: (view) => view.setUint32(24, 0, true) },
  { what: "more inodes than rows", code: "v5-corrupt", change: (view) => view.setUint32(24, 2 ** 30, true) },
  {
    what: "an inode table outside",
    code: "table-outside-image",
    change: (view) => view.setUint32(56, 2 ** 31, true),
  },
  {
    what: "another extended table",
    code: "v5-corrupt",
    change: (view) => view.setUint32(68, 2, true),
  },
  {
    what: "a changed inode digest",
    code: "v5-digest-mismatch",
    change: (view) =>
      view.setUint8(view.getUint32(8192, true) * 8, view.getUint8(view.getUint32(8192, true) * 8) ^ 1),
  },
  {
    what: "another parent",
    code: "v5-parent-mismatch",
    change: (view) => view.setUint32(view.getUint32(8192 + 4, true) * 8 + 32, 77, true),
  },
];

function codesOf(bytes: Uint8Array): FindingCode[] {
  return [...new Set(checkBootstrap(bytes, { digest: digestOf }).map(({ code }) => code))];
}

describe("checkBootstrap()", () => {
  for (const { name, bytes } of listGoldenBootstraps()) {
    it(`finds ${EXPECTED[name]?.join(", ") ?? "nothing"} in ${name}`, () => {
      assert.deepEqual(codesOf(bytes), EXPECTED[name] ?? []);
    });
  }

  for (const { what, code, image = BASE, change } of MUTATIONS) {
    it(`finds ${code} in ${image} with ${what}`, () => {
      const patched = new PatchedBootstrap(image);
      change(patched);
      const codes = codesOf(patched.bytes);
      assert.ok(codes.includes(code), `found ${codes.join(", ") || "nothing"}`);
    });
  }

  for (const { what, code, change } of V5_MUTATIONS) {
    it(`finds ${code} in ${V5} with ${what}`, () => {
      const bytes = goldenBootstrap(V5).bytes.slice();
      change(viewOf(bytes));
      assert.ok(codesOf(bytes).includes(code), `found ${codesOf(bytes).join(", ") || "nothing"}`);
    });
  }

  it("finds image-size-invalid in no bytes, in a cut image and in one with a byte too many", () => {
    const { bytes } = goldenBootstrap("made/merged");
    for (const size of [0, 1, 1023, 4095, bytes.length - 1, bytes.length + 1]) {
      const changed = new Uint8Array(size);
      changed.set(bytes.subarray(0, Math.min(size, bytes.length)));
      assert.deepEqual(codesOf(changed).includes("image-size-invalid"), true, `${size} bytes`);
    }
  });

  it("stops with too-many-findings", () => {
    const patched = new PatchedBootstrap(BASE);
    // The file of every name of three large directories gets a mode without type, no links and a bad time.
    const table = patched.chunkTable;
    for (let row = 0; row < 467; row++) {
      patched.u8(table + row * 80, 0xff - (row >> 1));
      patched.u32(table + row * 80 + 44, 0);
      patched.u64(table + row * 80 + 48, 2 ** 39 - row);
    }
    for (let name = 0; name < 420; name++) {
      patched.u32(patched.inode(`/dirs/many/${String(name).padStart(4, "0")}`).offset + 44, 0);
      patched.u32(patched.inode(`/dirs/many/${String(name).padStart(4, "0")}`).offset + 40, 2 ** 31);
    }
    const findings = checkBootstrap(patched.bytes);
    assert.equal(findings.length, MAX_FINDINGS + 1);
    assert.equal(findings.at(-1)?.code, "too-many-findings");
  });

  it("has a test for every finding", () => {
    const tested = new Set<string>([
      ...MUTATIONS.map(({ code }) => code),
      ...V5_MUTATIONS.map(({ code }) => code),
      ...BLOB_MUTATIONS.map(({ code }) => code),
      "image-size-invalid",
      "too-many-findings",
      // More than 254 blobs or 4096 levels take an image larger than these.
      "limit-exceeded",
    ]);
    assert.deepEqual(
      Object.keys(FINDINGS).filter((code) => !tested.has(code)),
      [],
    );
  });

  for (const name of ["made/merged", "nydus/bootstrap", "nydus/repeatable/sha256-nocompress-repeatable"]) {
    it(`gives findings or none, and soon, whatever bytes of ${name} change`, () => {
      const { bytes } = goldenBootstrap(name);
      const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
      fc.assert(
        fc.property(fc.array(change, { minLength: 1, maxLength: 12 }), (changes) => {
          const changed = bytes.slice();
          for (const [at, value] of changes) changed[at] = value;
          const started = performance.now();
          const findings = checkBootstrap(changed);
          assert.ok(performance.now() - started < 2000);
          for (const { code, severity } of findings) assert.equal(severity, FINDINGS[code]);
        }),
        { numRuns: 300 },
      );
    });
  }
});

const GOLDEN = "made/v6-zstd-blake3";

function goldenBlob(): Blob {
  const blob = readBootstrap(goldenBootstrap(GOLDEN).bytes).blobs[0];
  assert.ok(blob !== undefined);
  return blob;
}

const BLOB_MUTATIONS: readonly {
  readonly code: FindingCode;
  readonly change: (blob: Blob) => Partial<Blob>;
}[] = [
  { code: "header-count-mismatch", change: (blob) => ({ chunkCount: blob.chunkCount + 1 }) },
  { code: "header-compressor-mismatch", change: (blob) => moved(blob, { compressor: "lz4_block" }) },
  { code: "header-offset-mismatch", change: (blob) => moved(blob, { offset: 1 }) },
  { code: "header-size-mismatch", change: (blob) => moved(blob, { storedSize: 1 }) },
  { code: "header-context-invalid", change: (blob) => ({ features: blob.features | 0x84 }) },
  { code: "chunk-information-fault", change: () => ({ decodedSize: 4096 }) },
  { code: "decoded-size-mismatch", change: (blob) => ({ decodedSize: blob.decodedSize + 4096 }) },
];

function moved(blob: Blob, change: Partial<NonNullable<Blob["chunkInformation"]>>): Partial<Blob> {
  assert.ok(blob.chunkInformation !== undefined);
  return { chunkInformation: { ...blob.chunkInformation, ...change } };
}

describe("checkBlobTable()", () => {
  const blob = goldenBlob();
  const { header, chunkInformation } = decodeBlobMetaFile(
    readFixture("golden", GOLDEN, "cache", `${blob.id}.blob.meta`),
  );
  const table = decodeChunkTable(chunkInformation, {
    features: blob.features,
    compressor: blob.compressor,
    chunkCount: blob.chunkCount,
    storedEnd: blob.storedSize,
    decodedSize: blob.decodedSize,
  });

  it("finds nothing in a golden blob", () => {
    assert.deepEqual(checkBlobTable("blob 0", blob, header, table), []);
  });

  for (const { code, change } of BLOB_MUTATIONS) {
    it(`finds ${code} when the row of the blob table differs`, () => {
      const found = checkBlobTable("blob 0", { ...blob, ...change(blob) }, header, table);
      assert.ok(found.some((finding) => finding.code === code));
      assert.equal(found[0]?.where, "blob 0");
    });
  }
});
