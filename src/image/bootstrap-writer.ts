import { alignDown, alignUp, type ByteString, viewOf } from "../base/bytes.ts";
import { CodedError, isCoded } from "../base/errors.ts";
import { DEVICE_SLOT_SIZE, encodeDeviceSlot } from "../format/erofs/device-slot.ts";
import {
  COMPAT_RAFS_V6,
  EROFS_MAGIC,
  encodeSuperblock,
  INCOMPAT_CHUNKED_FILE,
  INCOMPAT_DEVICE_TABLE,
  SUPERBLOCK_OFFSET,
} from "../format/erofs/superblock.ts";
import { BLOB_RECORD_SIZE, encodeBlobRecord } from "../format/rafs/blob-record.ts";
import { CHUNK_RECORD_SIZE, encodeChunkRecord } from "../format/rafs/chunk-record.ts";
import {
  DEVICE_TABLE_SLOT,
  EXTENDED_SUPERBLOCK_OFFSET,
  encodeExtendedSuperblock,
  TABLE_ALIGNMENT,
} from "../format/rafs/extended-superblock.ts";
import { BLOB_FEATURES, compressionFlag, digestFlag, SUPER_FLAGS } from "../format/rafs/features.ts";
import { encodePrefetchTable, PREFETCH_ROW_SIZE } from "../format/rafs/prefetch-table.ts";
import { recordOfBlob } from "./blob-conversion.ts";
import { numberBlobs } from "./blob-numbering.ts";
import { readBootstrapHeader } from "./bootstrap-header.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import type { Blob } from "./chunk.ts";
import { chunkRecords } from "./chunk-records.ts";
import type { Image, Inode } from "./tree.ts";
import { BLOCK_SIZE, nidOf, planTree, type TreePlan } from "./tree-plan.ts";
import { writeTree } from "./tree-writer.ts";

/** Devices start at multiples of this when everything is one flat device. */
const MAPPED_ALIGNMENT = 0x8_0000;

/** What a bootstrap is written for. */
export interface WriteBootstrapOptions {
  /**
   * Position in `image.blobs` of the blob that the bootstrap will be part of. Its row gets a placeholder for the id,
   * which is not known yet, and INLINED_FS_META.
   *
   * @default none: a bootstrap of its own, as images have
   */
  readonly inlineBlobIndex?: number;
  /**
   * Set the flag "no encryption", which nydus writes since 2.3 and older readers refuse.
   *
   * @default false
   */
  readonly statesNoEncryption?: boolean;
}

/** A bootstrap with the blobs it names. */
export interface WrittenBootstrap {
  readonly bytes: Uint8Array;
  /** Those blobs of the image that its tree uses, in the order of the blob table. */
  readonly blobs: readonly Blob[];
}

/**
 * Writes a RAFS v6 bootstrap: the same image always gives the same bytes, those of nydus 2.4.4 where it is
 * deterministic itself.
 *
 * Not stored are an INLINED_FS_META that a blob came with, prefetch paths that lead nowhere or to an empty file, and
 * all prefetch paths of an image without blobs.
 *
 * @throws {CodedError} ERR_IMAGE_INVALID for an image that makes no sense; ERR_LIMIT_EXCEEDED and
 *   ERR_FEATURE_UNSUPPORTED for one that RAFS v6 cannot hold or this release does not write.
 */
export function writeBootstrap(image: Image, options: WriteBootstrapOptions = {}): WrittenBootstrap {
  const plan = planTree(image.root, image.chunkSize);
  const numbering = numberBlobs(plan, image.blobs);
  const records = chunkRecords(plan, numbering, image.chunkSize);
  const { blobs } = numbering;
  if (blobs.length > BOOTSTRAP_LIMITS.blobs) {
    throw new CodedError("ERR_LIMIT_EXCEEDED", `${blobs.length} blobs, RAFS holds ${BOOTSTRAP_LIMITS.blobs}`);
  }
  const prefetchNids =
    blobs.length === 0 ? [] : image.prefetch.flatMap((path) => prefetchNid(plan, image, path));

  const blobTableOffset = alignUp((DEVICE_TABLE_SLOT + blobs.length) * DEVICE_SLOT_SIZE, TABLE_ALIGNMENT);
  const prefetchTableOffset = blobTableOffset + blobs.length * BLOB_RECORD_SIZE;
  const tablesEnd = prefetchTableOffset + prefetchNids.length * PREFETCH_ROW_SIZE;
  // Without blobs there are no tables, and the hole before the root takes the super-block.
  const metaOffset = blobs.length === 0 ? 0 : alignUp(tablesEnd, BLOCK_SIZE);
  const chunkTableOffset = alignUp(metaOffset + plan.end, TABLE_ALIGNMENT);
  const chunkTableSize = records.length * CHUNK_RECORD_SIZE;
  const size = alignUp(chunkTableOffset + chunkTableSize, BLOCK_SIZE);
  if (size > BOOTSTRAP_LIMITS.size) {
    throw new CodedError(
      "ERR_LIMIT_EXCEEDED",
      `a bootstrap of ${size} bytes, at most ${BOOTSTRAP_LIMITS.size}`,
    );
  }

  const bytes = new Uint8Array(size);
  const view = viewOf(bytes);
  encodeSuperblock(view, SUPERBLOCK_OFFSET, {
    magic: EROFS_MAGIC,
    checksum: 0,
    featureCompat: COMPAT_RAFS_V6,
    blockBits: Math.log2(BLOCK_SIZE),
    extensionSlots: 0,
    rootNid: nidOf(plan.root),
    inodeCount: plan.names.length,
    buildSeconds: 0,
    buildNanoseconds: 0,
    blocks: blobs.reduce((sum, blob) => sum + blocksOf(blob), 0),
    metaStartBlock: metaOffset / BLOCK_SIZE,
    xattrStartBlock: 0,
    featureIncompat: INCOMPAT_CHUNKED_FILE | INCOMPAT_DEVICE_TABLE,
    compressionConfig: 0,
    deviceCount: blobs.length,
    deviceTableSlot: DEVICE_TABLE_SLOT,
  });
  encodeExtendedSuperblock(view, EXTENDED_SUPERBLOCK_OFFSET, {
    flags: superFlags(image, plan, blobs, options),
    blobTableOffset,
    blobTableSize: blobs.length * BLOB_RECORD_SIZE,
    chunkSize: image.chunkSize,
    chunkTableOffset,
    chunkTableSize,
    prefetchTableOffset: prefetchNids.length === 0 ? 0 : prefetchTableOffset,
    prefetchTableSize: prefetchNids.length * PREFETCH_ROW_SIZE,
  });
  encodePrefetchTable(view, prefetchTableOffset, prefetchNids);
  encodeBlobs(view, blobTableOffset, image, blobs, options);
  writeTree(plan, { bytes, metaOffset, numbering, chunkSize: image.chunkSize });
  records.forEach((record, index) => {
    encodeChunkRecord(view, chunkTableOffset + index * CHUNK_RECORD_SIZE, record);
  });
  checkReadable(bytes);
  return { bytes, blobs };
}

function superFlags(
  image: Image,
  plan: TreePlan,
  blobs: readonly Blob[],
  options: WriteBootstrapOptions,
): number {
  const hasXattrs = plan.names.some(({ xattrsSize }) => xattrsSize > 0);
  const inlinesDigests = blobs.every((blob) => (blob.features & BLOB_FEATURES.INLINED_CHUNK_DIGEST) !== 0);
  return (
    compressionFlag(image.compressor) |
    digestFlag(image.digester) |
    SUPER_FLAGS.EXPLICIT_UID_GID |
    (hasXattrs ? SUPER_FLAGS.HAS_XATTR : 0) |
    (inlinesDigests ? SUPER_FLAGS.INLINED_CHUNK_DIGEST : 0) |
    (options.statesNoEncryption === true ? SUPER_FLAGS.ENCRYPTION_NONE : 0)
  );
}

function encodeBlobs(
  view: DataView,
  tableOffset: number,
  image: Image,
  blobs: readonly Blob[],
  options: WriteBootstrapOptions,
): void {
  const inlineBlob = options.inlineBlobIndex === undefined ? undefined : image.blobs[options.inlineBlobIndex];
  let mappedEnd = view.byteLength;
  blobs.forEach((blob, index) => {
    const record = recordOfBlob(blob, index, blob === inlineBlob);
    encodeBlobRecord(view, tableOffset + index * BLOB_RECORD_SIZE, record);
    const mapped = alignUp(mappedEnd, MAPPED_ALIGNMENT);
    const blocks = blocksOf(blob);
    mappedEnd = mapped + blocks * BLOCK_SIZE;
    encodeDeviceSlot(view, (DEVICE_TABLE_SLOT + index) * DEVICE_SLOT_SIZE, {
      tag: record.id,
      blocks,
      mappedStartBlock: mapped / BLOCK_SIZE,
    });
  });
}

function blocksOf(blob: Blob): number {
  return alignDown(blob.decodedSize, BLOCK_SIZE) / BLOCK_SIZE;
}

/** The nid an absolute path leads to; none when there is nothing to fetch. */
function prefetchNid(plan: TreePlan, image: Image, path: ByteString): number[] {
  let inode: Inode | undefined = image.root;
  for (const name of path.split("/")) {
    if (name !== "") inode = inode?.type === "dir" ? inode.children.get(name) : undefined;
  }
  if (inode === undefined || (inode.type === "file" && inode.size === 0)) return [];
  const planned = plan.inodes.get(inode);
  return planned === undefined ? [] : [nidOf(planned)];
}

/** What no reader would open is not an image: the blobs a caller gave are judged by the rules of the reader. */
function checkReadable(bytes: Uint8Array): void {
  try {
    readBootstrapHeader(bytes);
  } catch (error) {
    if (!isCoded(error, "ERR_BOOTSTRAP_CORRUPT")) throw error;
    throw new CodedError("ERR_IMAGE_INVALID", `image cannot be written: ${error.message}`, { cause: error });
  }
}
