import type { Compressor, Digester } from "../../base/algorithm.ts";

/**
 * Flag bits of the RAFS super-block, v5 and v6. Exactly one COMPRESSION and one DIGEST bit is set.
 *
 * @see nydus rafs/src/metadata/mod.rs, RafsSuperFlags
 */
export const SUPER_FLAGS = {
  COMPRESSION_NONE: 0x1,
  COMPRESSION_LZ4_BLOCK: 0x2,
  DIGEST_BLAKE3: 0x4,
  DIGEST_SHA256: 0x8,
  /** Inodes carry their own uid and gid; without it nydusd shows its own. */
  EXPLICIT_UID_GID: 0x10,
  HAS_XATTR: 0x20,
  COMPRESSION_GZIP: 0x40,
  COMPRESSION_ZSTD: 0x80,
  /** Every blob has {@link BLOB_FEATURES.INLINED_CHUNK_DIGEST}. */
  INLINED_CHUNK_DIGEST: 0x100,
  TARFS: 0x200,
  ENCRYPTION_NONE: 0x0100_0000,
  ENCRYPTION_AES_128_XTS: 0x0200_0000,
} as const;

/** Bits that readers accept without knowing their meaning. */
export const SUPER_FLAGS_RESERVED = 0xfc00_0000;

/**
 * Feature bits of a blob: v6 blob table, v5 extended blob table, and the header of the chunk information array.
 * The low 16 are incompatible: a reader must refuse those it does not know.
 *
 * @see nydus storage/src/device.rs, BlobFeatures
 */
export const BLOB_FEATURES = {
  /** Chunks start at multiples of 4096 in the decoded space. */
  ALIGNED: 0x1,
  /** The bootstrap lies inside the blob, so it cannot hold the blob's id. */
  INLINED_FS_META: 0x2,
  /** Chunk information records are 24 bytes. */
  CHUNK_INFO_V2: 0x4,
  ZRAN: 0x8,
  /** Chunks and chunk information are in two blobs. */
  SEPARATE: 0x10,
  INLINED_CHUNK_DIGEST: 0x20,
  TARFS: 0x40,
  BATCH: 0x80,
  ENCRYPTED: 0x100,
  CHUNK_DICT_GENERATED: 0x200,
  PREFETCH_BLOB: 0x400,
  EXTERNAL: 0x800,
  HAS_TAR_HEADER: 0x1000_0000,
  HAS_TOC: 0x2000_0000,
  /** Made by nydus 2.2 or later; sizes are derived differently without it. */
  CAP_TAR_TOC: 0x4000_0000,
} as const;

/** The low feature bits no version defines, and the one that must never be stored. */
export const BLOB_FEATURES_UNKNOWN = 0x8000_f000;

const COMPRESSORS: readonly Compressor[] = ["none", "lz4_block", "gzip", "zstd"];
const DIGESTERS: readonly Digester[] = ["blake3", "sha256"];

const COMPRESSION_FLAGS: Readonly<Record<Compressor, number>> = {
  none: SUPER_FLAGS.COMPRESSION_NONE,
  lz4_block: SUPER_FLAGS.COMPRESSION_LZ4_BLOCK,
  gzip: SUPER_FLAGS.COMPRESSION_GZIP,
  zstd: SUPER_FLAGS.COMPRESSION_ZSTD,
};

const DIGEST_FLAGS: Readonly<Record<Digester, number>> = {
  blake3: SUPER_FLAGS.DIGEST_BLAKE3,
  sha256: SUPER_FLAGS.DIGEST_SHA256,
};

/** The compressor with that number on disk, if there is one. */
export function compressorOfNumber(number: number): Compressor | undefined {
  return COMPRESSORS[number];
}

/** The number that stands for a compressor on disk. */
export function compressorNumber(compressor: Compressor): number {
  return COMPRESSORS.indexOf(compressor);
}

/** The digester with that number on disk, if there is one. */
export function digesterOfNumber(number: number): Digester | undefined {
  return DIGESTERS[number];
}

/** The number that stands for a digester on disk. */
export function digesterNumber(digester: Digester): number {
  return DIGESTERS.indexOf(digester);
}

/** The super-block bit of a compressor. */
export function compressionFlag(compressor: Compressor): number {
  return COMPRESSION_FLAGS[compressor];
}

/** The super-block bit of a digester. */
export function digestFlag(digester: Digester): number {
  return DIGEST_FLAGS[digester];
}

/** The compressor that super-block flags name, if they name exactly one. */
export function compressorOfFlags(flags: number): Compressor | undefined {
  const named = COMPRESSORS.filter((compressor) => (flags & COMPRESSION_FLAGS[compressor]) !== 0);
  return named.length === 1 ? named[0] : undefined;
}

/** The digester that super-block flags name, if they name exactly one. */
export function digesterOfFlags(flags: number): Digester | undefined {
  const named = DIGESTERS.filter((digester) => (flags & DIGEST_FLAGS[digester]) !== 0);
  return named.length === 1 ? named[0] : undefined;
}
