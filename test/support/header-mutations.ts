import type { Mutation } from "./mutation.ts";
import { AT } from "./patched-bootstrap.ts";

/** Changes to super-blocks, tables, blobs and devices. */
export const HEADER_MUTATIONS: readonly Mutation[] = [
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
  {
    what: "a mark of inlined metadata",
    code: "blob-marked-inlined",
    change: (b) => b.u32(b.blobTable + 84, 0x40000003),
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
];
