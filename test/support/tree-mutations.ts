import type { Mutation } from "./mutation.ts";

/** Changes to inodes and directories. */
export const TREE_MUTATIONS: readonly Mutation[] = [
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
];
