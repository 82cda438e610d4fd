import type { Mutation } from "./mutation.ts";
import type { PatchedBootstrap } from "./patched-bootstrap.ts";

const image = "made/v5";
/** Four bytes for each inode: where it starts, in units of 8. */
const INODE_TABLE = 8192;

/** Changes to super-block and inodes of RAFS v5. */
export const V5_MUTATIONS: readonly Mutation[] = [
  { what: "version 0x400", image, code: "v5-superblock-invalid", change: (b) => b.u32(4, 0x400) },
  {
    what: "another super-block size",
    image,
    code: "v5-superblock-invalid",
    change: (b) => b.u32(8, 1),
  },
  {
    what: "chunks of 5000 bytes",
    image,
    code: "chunk-size-invalid",
    change: (b) => b.u32(12, 5000),
  },
  {
    what: "an unknown flag",
    image,
    code: "super-flags-unknown",
    change: (b) => b.u32(16, 0x4085),
  },
  { what: "0 inodes", image, code: "inode-count-zero", change: (b) => b.u32(24, 0) },
  { what: "more inodes than rows", image, code: "v5-corrupt", change: (b) => b.u32(24, 2 ** 30) },
  {
    what: "an inode table outside",
    image,
    code: "table-outside-image",
    change: (b) => b.u32(56, 2 ** 31),
  },
  {
    what: "another extended table",
    image,
    code: "v5-corrupt",
    change: (b) => b.u32(68, 2),
  },
  {
    what: "a changed inode digest",
    image,
    code: "v5-digest-mismatch",
    change: (b) => b.u8(firstInode(b), b.view.getUint8(firstInode(b)) ^ 1),
  },
  {
    what: "another parent",
    image,
    code: "v5-parent-mismatch",
    change: (b) => b.u32(b.view.getUint32(INODE_TABLE + 4, true) * 8 + 32, 77),
  },
];

function firstInode(b: PatchedBootstrap): number {
  return b.view.getUint32(INODE_TABLE, true) * 8;
}
