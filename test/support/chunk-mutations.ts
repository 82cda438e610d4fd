import type { Mutation } from "./mutation.ts";
import { AT } from "./patched-bootstrap.ts";

/** Changes to chunk arrays, the chunk table and the prefetch table. */
export const CHUNK_MUTATIONS: readonly Mutation[] = [
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
    what: "a hole",
    code: "chunk-hole",
    change: (b) => b.u32(b.chunkArray("/sizes/f4097") + 4, 0xffff_ffff),
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
    what: "a CRC-32C of zero",
    code: "chunk-record-flags-invalid",
    change: (b) => {
      b.u32(b.chunkTable + 36, 0x11);
      b.u32(b.chunkTable + 76, 0);
    },
  },
  {
    what: "a raw chunk that is stored in fewer bytes than it has",
    code: "chunk-record-flags-invalid",
    change: (b) => {
      b.u32(b.chunkTable + 36, 0);
      b.u32(b.chunkTable + 40, 1);
    },
  },
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
    what: "a used record without a digest",
    code: "chunk-record-digest-missing",
    change: (b) => b.bytes.fill(0, b.chunkTable, b.chunkTable + 32),
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
