/** What a bootstrap may be at most. Reader and writer share these, so nothing is written that is not read again. */
export const BOOTSTRAP_LIMITS = {
  /** Bytes of a bootstrap. */
  size: 2 ** 31,
  /** Rows of the blob table: a chunk index has one byte for blob index + 1, and the builder of nydus stops here. */
  blobs: 254,
  /** Rows of the blob table of RAFS v5. Its records could name more; no builder makes images of so many layers. */
  v5Blobs: 1024,
  /** Chunks of one blob: a chunk index has 24 bits. */
  chunksPerBlob: 2 ** 24,
  minChunkSize: 0x1000,
  maxChunkSize: 0x100_0000,
  /** Bytes of a name; the kernel's NAME_MAX. */
  nameLength: 255,
  /** Bytes of a link target; the kernel's PATH_MAX without its NUL. */
  targetLength: 4095,
  /** Bytes of the path of a name in a layer; the kernel's PATH_MAX. */
  pathLength: 4096,
  /** Directories below each other. */
  depth: 4096,
  /** Bytes of the paths of all names together: without it, many names deep down cost more than the image has bytes. */
  pathBytes: 2 ** 30,
  /** Bytes of all prefetch paths together: a deep tree makes each of them long. */
  prefetchPathBytes: 2 ** 24,
  /** Sizes the blob table may state: 2^40 stored and 2^44 decoded bytes. */
  storedSize: 2 ** 40,
  decodedSize: 2 ** 44,
} as const;
