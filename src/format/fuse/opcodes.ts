/** What the kernel asks for. Only the requests that a read-only filesystem can meet are named. */
export const FUSE_OPCODES = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  READLINK: 5,
  OPEN: 14,
  READ: 15,
  STATFS: 17,
  RELEASE: 18,
  GETXATTR: 22,
  LISTXATTR: 23,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  ACCESS: 34,
  INTERRUPT: 36,
  DESTROY: 38,
  BATCH_FORGET: 42,
  READDIRPLUS: 44,
} as const;

/**
 * True for requests that the kernel wants no answer to: answering one is an error. INTERRUPT may be answered, with
 * EAGAIN for "tell me again".
 */
export function hasNoReply(opcode: number): boolean {
  return opcode === FUSE_OPCODES.FORGET || opcode === FUSE_OPCODES.BATCH_FORGET;
}

/** Numbers of the errors in replies, as Linux has them on every processor that Node.js supports. */
export const FUSE_ERRORS = {
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  E2BIG: 7,
  EAGAIN: 11,
  EACCES: 13,
  ENOTDIR: 20,
  EINVAL: 22,
  EROFS: 30,
  ERANGE: 34,
  ENOSYS: 38,
  ENODATA: 61,
  EPROTO: 71,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESTALE: 116,
} as const;

/** The node id of the root of every FUSE filesystem. */
export const FUSE_ROOT_ID = 1;
