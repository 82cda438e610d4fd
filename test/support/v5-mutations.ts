import type { FindingCode } from "#src/image/finding.js";

/** One change to the golden image made/v5, and what it must be found as. */
export interface V5Mutation {
  readonly what: string;
  readonly code: FindingCode;
  readonly change: (view: DataView) => void;
}

/** Changes to super-block and inodes of RAFS v5. */
export const V5_MUTATIONS: readonly V5Mutation[] = [
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
