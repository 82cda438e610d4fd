/** Bytes of the INIT reply since protocol 7.23. */
export const FUSE_INIT_OUT_SIZE = 64;

/** Bytes of the INIT request up to and with its flags. */
export const FUSE_INIT_IN_MIN_SIZE = 16;

/** The protocol this program speaks. A newer kernel answers in this version, too. */
export const FUSE_MAJOR = 7;
export const FUSE_MINOR = 38;

/** The oldest minor version served: the first with symlink caching and calls without OPENDIR (Linux 5.4). */
export const FUSE_MINOR_MIN = 31;

/** What kernel and server agree on in INIT; the bits that a read-only filesystem has use for. */
export const FUSE_INIT_FLAGS = {
  /** Several READs of one file at once. */
  ASYNC_READ: 2 ** 0,
  /** A direct READ may be one of several of its caller's; EROFS over files reads ahead with such. */
  ASYNC_DIO: 2 ** 15,
  /** READDIRPLUS exists. */
  DO_READDIRPLUS: 2 ** 13,
  /** The kernel chooses between READDIR and READDIRPLUS by what the caller does. */
  READDIRPLUS_AUTO: 2 ** 14,
  /** ENOSYS to OPEN means: never ask again, and keep the page cache. */
  NO_OPEN_SUPPORT: 2 ** 17,
  /** LOOKUP and READDIR of one directory at once. */
  PARALLEL_DIROPS: 2 ** 18,
  /** The kernel checks POSIX ACLs, which it reads as xattrs. */
  POSIX_ACL: 2 ** 20,
  /** `maxPages` counts. */
  MAX_PAGES: 2 ** 22,
  CACHE_SYMLINKS: 2 ** 23,
  /** ENOSYS to OPENDIR means: never ask again, and cache listings. */
  NO_OPENDIR_SUPPORT: 2 ** 24,
} as const;

/** How the kernel opens the conversation. */
export interface FuseInitIn {
  readonly major: number;
  readonly minor: number;
  /** Bytes the kernel would read ahead. */
  readonly maxReadahead: number;
  /** Bits of FUSE_INIT_FLAGS and others: what the kernel can do. */
  readonly flags: number;
  /** Whether the kernel knows FUSE_NOTIFY_RESEND (Linux 6.9). */
  readonly canResend: boolean;
}

/** In `flags`: a second word of them follows (protocol 7.36). */
const INIT_EXTENDED = 2 ** 30;

/** In the second word. */
const HAS_RESEND = 2 ** 7;

/**
 * Reads the body of INIT.
 *
 * u32 major, u32 minor, u32 max_readahead, u32 flags; since 7.36 u32 flags2, u32 unused[11].
 *
 * @throws {RangeError} when it does not fit.
 * @see Linux include/uapi/linux/fuse.h, struct fuse_init_in
 */
export function decodeInitIn(view: DataView, offset: number): FuseInitIn {
  const flags = view.getUint32(offset + 12, true);
  const isExtended = (flags & INIT_EXTENDED) !== 0 && offset + 20 <= view.byteLength;
  return {
    major: view.getUint32(offset, true),
    minor: view.getUint32(offset + 4, true),
    maxReadahead: view.getUint32(offset + 8, true),
    flags,
    canResend: isExtended && (view.getUint32(offset + 16, true) & HAS_RESEND) !== 0,
  };
}

/** What the server agrees to. Sizes are bytes. */
export interface FuseInitOut {
  readonly maxReadahead: number;
  /** Bits of FUSE_INIT_FLAGS that the kernel offered. */
  readonly flags: number;
  /** Requests that nobody waits for (readahead) in flight at once, at most. */
  readonly maxBackground: number;
  /** From so many on, the kernel holds readahead back. */
  readonly congestionThreshold: number;
  readonly maxWrite: number;
  /** Nanoseconds: the granularity of times. */
  readonly timeGranularity: number;
  /** Pages of 4096 bytes in one READ, at most. */
  readonly maxPages: number;
}

/**
 * Writes the body of the reply to INIT, {@link FUSE_INIT_OUT_SIZE} bytes.
 *
 * u32 major, minor, max_readahead, flags, u16 max_background, congestion_threshold, u32 max_write, time_gran,
 * u16 max_pages, map_alignment, u32 flags2, u32 unused[7].
 *
 * @see Linux include/uapi/linux/fuse.h, struct fuse_init_out
 */
export function encodeInitOut(view: DataView, offset: number, out: FuseInitOut): void {
  for (let at = 0; at < FUSE_INIT_OUT_SIZE; at += 4) view.setUint32(offset + at, 0, true);
  view.setUint32(offset, FUSE_MAJOR, true);
  view.setUint32(offset + 4, FUSE_MINOR, true);
  view.setUint32(offset + 8, out.maxReadahead, true);
  view.setUint32(offset + 12, out.flags, true);
  view.setUint16(offset + 16, out.maxBackground, true);
  view.setUint16(offset + 18, out.congestionThreshold, true);
  view.setUint32(offset + 20, out.maxWrite, true);
  view.setUint32(offset + 24, out.timeGranularity, true);
  view.setUint16(offset + 28, out.maxPages, true);
}
