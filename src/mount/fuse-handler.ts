import { type ByteString, byteString, viewOf } from "../base/bytes.ts";
import { CodedError, ERRORS } from "../base/errors.ts";
import {
  encodeAbsentEntryOut,
  encodeAttrOut,
  encodeEntryOut,
  FUSE_ATTR_OUT_SIZE,
  FUSE_ENTRY_OUT_SIZE,
} from "../format/fuse/attr.ts";
import {
  encodeOpenOut,
  encodeStatfsOut,
  encodeXattrSizeOut,
  FUSE_OPEN_FLAGS,
  FUSE_OPEN_OUT_SIZE,
  FUSE_STATFS_OUT_SIZE,
  FUSE_XATTR_SIZE_OUT_SIZE,
  readInOffset,
  readInSize,
  xattrInSize,
} from "../format/fuse/bodies.ts";
import { direntPlusSize, direntSize, encodeDirent } from "../format/fuse/dirent.ts";
import {
  decodeInHeader,
  decodeUnique,
  encodeOutHeader,
  FUSE_IN_HEADER_SIZE,
  FUSE_OUT_HEADER_SIZE,
  newInHeader,
} from "../format/fuse/header.ts";
import { FUSE_ERRORS, FUSE_OPCODES, hasNoReply } from "../format/fuse/opcodes.ts";
import { MAX_READ } from "../native/fuse-device.ts";
import { type DropCached, isPlanReady, readPlan } from "./mount-blob.ts";
import { type FileRead, StaleNode, type Superblock } from "./superblock.ts";

/** Bytes of a request buffer. Requests to a read-only filesystem are small; more room takes more FORGETs at once. */
export const REQUEST_BUFFER_SIZE = 2 ** 16;

/** Bytes of a reply buffer. */
export const REPLY_BUFFER_SIZE = FUSE_OUT_HEADER_SIZE + MAX_READ;

/** An image never changes: the kernel may remember names and attributes for as long as it likes. */
const VALID_SECONDS = 365 * 86_400;

/** A READ whose chunks are not all ready. */
export interface MissedRead {
  readonly unique: number;
  /** The thread that reads, 0 when it cannot be seen from here. */
  readonly pid: number;
  readonly nodeId: number;
  readonly offset: number;
  readonly size: number;
}

/** The kernel tells that who waits for the answer to a request got a signal. */
export interface InterruptedRequest {
  readonly interrupted: number;
}

/** What became of a request: bytes of the reply to write (0 for none), or what somebody else must see to. */
export type Handled = number | MissedRead | InterruptedRequest;

/** Answers the requests of one FUSE connection, one at a time, between two buffers that it owns. */
export class FuseHandler {
  /** To be filled with a request. */
  readonly request = new Uint8Array(REQUEST_BUFFER_SIZE);
  /** Holds the reply after {@link FuseHandler.handle}. */
  readonly reply = new Uint8Array(REPLY_BUFFER_SIZE);
  readonly #superblock: Superblock;
  readonly #dropCached: DropCached | undefined;
  readonly #in = viewOf(this.request);
  readonly #out = viewOf(this.reply);
  readonly #header = newInHeader();

  /** @param superblock May change between two requests. */
  constructor(superblock: Superblock, dropCached?: DropCached) {
    this.#superblock = superblock;
    this.#dropCached = dropCached;
  }

  /** Answers the request of `length` bytes in {@link FuseHandler.request}. Never throws for what an image holds. */
  handle(length: number): Handled {
    if (length < FUSE_IN_HEADER_SIZE) return 0;
    const header = this.#header;
    decodeInHeader(this.#in, 0, header);
    if (hasNoReply(header.opcode)) return 0;
    try {
      if (header.opcode === FUSE_OPCODES.INTERRUPT) {
        return { interrupted: decodeUnique(this.#in, FUSE_IN_HEADER_SIZE) };
      }
      if (header.opcode === FUSE_OPCODES.READ) return this.#read(header.nodeId);
      return this.#finish(this.#answer(header.opcode, header.nodeId, length), 0);
    } catch (error) {
      return this.#finish(0, fuseErrorOf(error));
    }
  }

  /** Answers the request of `length` bytes with EIO, whatever it asks for. */
  handleClosed(length: number): number {
    if (length < FUSE_IN_HEADER_SIZE) return 0;
    decodeInHeader(this.#in, 0, this.#header);
    return hasNoReply(this.#header.opcode) ? 0 : this.refuse(FUSE_ERRORS.EIO);
  }

  /** Makes {@link FuseHandler.reply} the error reply to the request that was handled last. */
  refuse(error: number): number {
    return this.#finish(0, error);
  }

  /** True when the request that was handled last is a READ. */
  get isRead(): boolean {
    return this.#header.opcode === FUSE_OPCODES.READ;
  }

  #finish(bodyLength: number, error: number): number {
    encodeOutHeader(this.#out, 0, bodyLength, error, this.#header.unique);
    return FUSE_OUT_HEADER_SIZE + bodyLength;
  }

  /** Writes the body of the reply; returns its bytes. */
  #answer(opcode: number, nodeId: number, length: number): number {
    const superblock = this.#superblock;
    switch (opcode) {
      case FUSE_OPCODES.LOOKUP:
        return this.#lookup(nodeId, this.#name(FUSE_IN_HEADER_SIZE, length));
      case FUSE_OPCODES.GETATTR:
        encodeAttrOut(this.#out, FUSE_OUT_HEADER_SIZE, VALID_SECONDS, superblock.attributes(nodeId));
        return FUSE_ATTR_OUT_SIZE;
      case FUSE_OPCODES.OPEN:
        return this.#open(nodeId);
      case FUSE_OPCODES.READDIR:
        return this.#readDirectory(nodeId, false);
      case FUSE_OPCODES.READDIRPLUS:
        return this.#readDirectory(nodeId, true);
      case FUSE_OPCODES.READLINK:
        return this.#copy(this.#readlink(nodeId));
      case FUSE_OPCODES.GETXATTR: {
        const value = this.#xattrs(nodeId).get(this.#name(FUSE_IN_HEADER_SIZE + 8, length));
        if (value === undefined) throw new FuseError(FUSE_ERRORS.ENODATA);
        return this.#giveXattr(value);
      }
      case FUSE_OPCODES.LISTXATTR: {
        const names = [...this.#xattrs(nodeId).keys()];
        return this.#giveXattr(Buffer.from(names.map((name) => `${name}\0`).join(""), "latin1"));
      }
      case FUSE_OPCODES.STATFS:
        encodeStatfsOut(this.#out, FUSE_OUT_HEADER_SIZE, superblock.size());
        return FUSE_STATFS_OUT_SIZE;
      case FUSE_OPCODES.RELEASE:
      case FUSE_OPCODES.RELEASEDIR:
      case FUSE_OPCODES.FLUSH:
      case FUSE_OPCODES.DESTROY:
        return 0;
      default:
        // For OPENDIR the kernel takes this as "never ask again, keep all caches".
        throw new FuseError(FUSE_ERRORS.ENOSYS);
    }
  }

  #lookup(directory: number, name: ByteString): number {
    const nodeId = this.#superblock.lookup(directory, name);
    const absentSeconds = this.#superblock.isForEver(directory) ? VALID_SECONDS : 0;
    if (nodeId === undefined) encodeAbsentEntryOut(this.#out, FUSE_OUT_HEADER_SIZE, absentSeconds);
    else this.#encodeEntry(FUSE_OUT_HEADER_SIZE, nodeId);
    return FUSE_ENTRY_OUT_SIZE;
  }

  #encodeEntry(at: number, nodeId: number): void {
    encodeEntryOut(this.#out, at, nodeId, VALID_SECONDS, this.#superblock.attributes(nodeId));
  }

  /**
   * Where every file is one of an image the kernel need not ask: ENOSYS means "never again, and keep the page cache".
   * Files that must not be in the page cache take an answer of their own, and then all do.
   */
  #open(nodeId: number): number {
    const superblock = this.#superblock;
    if (superblock.root === "tree") throw new FuseError(FUSE_ERRORS.ENOSYS);
    const { DIRECT_IO, KEEP_CACHE, NOFLUSH } = FUSE_OPEN_FLAGS;
    const flags = superblock.isUncached(nodeId) ? DIRECT_IO : KEEP_CACHE;
    encodeOpenOut(this.#out, FUSE_OUT_HEADER_SIZE, flags + NOFLUSH);
    return FUSE_OPEN_OUT_SIZE;
  }

  #readDirectory(nodeId: number, plus: boolean): number {
    const position = readInOffset(this.#in, FUSE_IN_HEADER_SIZE);
    const room = Math.min(readInSize(this.#in, FUSE_IN_HEADER_SIZE), MAX_READ);
    let used = 0;
    for (const entry of this.#superblock.entriesFrom(nodeId, position)) {
      const { name, ino, type, nextPosition: nextOffset } = entry;
      const size = plus ? direntPlusSize(name.length) : direntSize(name.length);
      if (used + size > room) break;
      let at = FUSE_OUT_HEADER_SIZE + used;
      if (plus) {
        if (name === "." || name === "..") encodeAbsentEntryOut(this.#out, at, 0);
        else this.#encodeEntry(at, entry.nodeId);
        at += FUSE_ENTRY_OUT_SIZE;
      }
      encodeDirent(this.#out, at, { ino, nextOffset, type, name });
      used += size;
    }
    return used;
  }

  #read(nodeId: number): Handled {
    const offset = readInOffset(this.#in, FUSE_IN_HEADER_SIZE);
    const size = Math.min(readInSize(this.#in, FUSE_IN_HEADER_SIZE), MAX_READ);
    const read = this.#superblock.read(nodeId, offset, size);
    const { unique, pid } = this.#header;
    if (!isReadReady(read)) return { unique, pid, nodeId, offset, size };
    return encodeReadReply(read, this.reply, this.#out, unique, this.#dropCached);
  }

  /** The name that ends with a zero byte at the end of the request. */
  #name(start: number, length: number): ByteString {
    const end = this.request.indexOf(0, start);
    if (end < 0 || end >= length) throw new FuseError(FUSE_ERRORS.EINVAL);
    return byteString(this.request, start, end);
  }

  #copy(bytes: Uint8Array): number {
    this.reply.set(bytes, FUSE_OUT_HEADER_SIZE);
    return bytes.length;
  }

  #readlink(nodeId: number): Uint8Array {
    const inode = this.#superblock.inode(nodeId);
    if (inode === undefined) throw new FuseError(FUSE_ERRORS.EINVAL);
    return inode.filesystem.readlink(inode.nid);
  }

  /** ENOSYS makes the kernel ask no more: `ls -l` alone asks for two xattrs of every file. nydusd does the same. */
  #xattrs(nodeId: number): ReadonlyMap<ByteString, Uint8Array> {
    if (this.#superblock.isWithoutXattrs) throw new FuseError(FUSE_ERRORS.ENOSYS);
    const inode = this.#superblock.inode(nodeId);
    return inode === undefined ? new Map() : inode.filesystem.xattrs(inode.nid);
  }

  #giveXattr(value: Uint8Array): number {
    const room = xattrInSize(this.#in, FUSE_IN_HEADER_SIZE);
    if (room === 0) {
      encodeXattrSizeOut(this.#out, FUSE_OUT_HEADER_SIZE, value.length);
      return FUSE_XATTR_SIZE_OUT_SIZE;
    }
    if (value.length > room) throw new FuseError(FUSE_ERRORS.ERANGE);
    return this.#copy(value);
  }
}

/** An errno that is part of the protocol and no failure of ours. */
class FuseError extends Error {
  readonly number: number;

  constructor(number: number) {
    super(`errno ${number}`);
    this.number = number;
  }
}

/** The errno that a reader sees for `error`; EIO for what nobody expected. */
export function fuseErrorOf(error: unknown): number {
  if (error instanceof FuseError) return error.number;
  if (error instanceof StaleNode) return FUSE_ERRORS.ESTALE;
  if (error instanceof RangeError) return FUSE_ERRORS.EINVAL;
  if (!(error instanceof CodedError)) return FUSE_ERRORS.EIO;
  const numbers: Readonly<Record<string, number>> = FUSE_ERRORS;
  return numbers[ERRORS[error.code].errno] ?? FUSE_ERRORS.EIO;
}

/** True when a READ can be answered at once. */
export function isReadReady({ bytes, plan, image }: FileRead): boolean {
  return bytes !== undefined || (plan !== undefined && isPlanReady(plan, image.blobs));
}

/**
 * Writes the reply to a READ that is ready. Returns its bytes.
 *
 * @throws {CodedError} as readPlan.
 */
export function encodeReadReply(
  { bytes, plan, image }: FileRead,
  reply: Uint8Array,
  view: DataView,
  unique: number,
  dropCached?: DropCached,
): number {
  if (bytes !== undefined) reply.set(bytes, FUSE_OUT_HEADER_SIZE);
  else if (plan !== undefined) readPlan(plan, image.blobs, reply, FUSE_OUT_HEADER_SIZE, dropCached);
  const length = bytes?.length ?? plan?.length ?? 0;
  encodeOutHeader(view, 0, length, 0, unique);
  return FUSE_OUT_HEADER_SIZE + length;
}
