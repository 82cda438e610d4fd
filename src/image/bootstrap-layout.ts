import { viewOf } from "../base/bytes.ts";
import { DEVICE_SLOT_SIZE } from "../format/erofs/device-slot.ts";
import { decodeSuperblock, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE } from "../format/erofs/superblock.ts";
import {
  decodeExtendedSuperblock,
  EXTENDED_SUPERBLOCK_OFFSET,
  EXTENDED_SUPERBLOCK_SIZE,
  prefetchTableSize,
} from "../format/rafs/extended-superblock.ts";
import { decodeV5Superblock, V5_SUPERBLOCK_SIZE } from "../format/rafs/v5-superblock.ts";
import { v5TableRanges } from "./bootstrap-v5-tables.ts";

/** A part of a bootstrap. Offset and size are bytes. */
export interface BootstrapSection {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

/** Where the parts of a bootstrap lie, and what its super-blocks say. */
export interface BootstrapLayout {
  /** In the order of their offsets. */
  readonly sections: readonly BootstrapSection[];
  readonly superblock: Readonly<Record<string, number>>;
}

/**
 * Where the parts of a bootstrap lie that was read without error.
 *
 * @throws {RangeError} for bytes that are no bootstrap.
 */
export function bootstrapLayout(bytes: Uint8Array, fsVersion: 5 | 6): BootstrapLayout {
  const layout = fsVersion === 5 ? layoutOfV5(bytes) : layoutOfV6(bytes);
  const sections = layout.sections
    .filter(({ size }) => size > 0)
    .sort((left, right) => left.offset - right.offset);
  return { ...layout, sections };
}

function layoutOfV6(bytes: Uint8Array): BootstrapLayout {
  const view = viewOf(bytes);
  const superblock = decodeSuperblock(view, SUPERBLOCK_OFFSET);
  const extended = decodeExtendedSuperblock(view, EXTENDED_SUPERBLOCK_OFFSET);
  const metaOffset = superblock.metaStartBlock * 2 ** superblock.blockBits;
  const metaEnd = extended.chunkTableSize > 0 ? extended.chunkTableOffset : bytes.length;
  return {
    sections: [
      { name: "superblock", offset: SUPERBLOCK_OFFSET, size: SUPERBLOCK_SIZE },
      { name: "extended superblock", offset: EXTENDED_SUPERBLOCK_OFFSET, size: EXTENDED_SUPERBLOCK_SIZE },
      {
        name: "device table",
        offset: superblock.deviceTableSlot * DEVICE_SLOT_SIZE,
        size: superblock.deviceCount * DEVICE_SLOT_SIZE,
      },
      { name: "blob table", offset: extended.blobTableOffset, size: extended.blobTableSize },
      { name: "prefetch table", offset: extended.prefetchTableOffset, size: prefetchTableSize(extended) },
      { name: "inodes", offset: metaOffset, size: Math.max(0, metaEnd - metaOffset) },
      { name: "chunk table", offset: extended.chunkTableOffset, size: extended.chunkTableSize },
    ],
    superblock: { ...superblock, flags: extended.flags, chunkSize: extended.chunkSize },
  };
}

function layoutOfV5(bytes: Uint8Array): BootstrapLayout {
  const superblock = decodeV5Superblock(viewOf(bytes));
  return {
    sections: [
      { name: "superblock", offset: 0, size: V5_SUPERBLOCK_SIZE },
      ...v5TableRanges(superblock).map(({ name, offset, size }) => ({ name, offset, size })),
    ],
    superblock: { ...superblock },
  };
}
