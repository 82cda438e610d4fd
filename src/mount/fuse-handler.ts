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
  encodeStatfsOut,
  encodeXattrSizeOut,
  FUSE_STATFS_OUT_SIZE,
  FUSE_XATTR_SIZE_OUT_SIZE,
  readInOffset,
  readInSize,
  xattrInSize,
} from "../format/fuse/bodies.ts";
import { direntPlusSize, direntSize, encodeDirent } from "../format/fuse/dirent.ts";
import {
  decodeInHeader,
  encodeOutHeader,
  FUSE_IN_HEADER_SIZE,
  FUSE_OUT_HEADER_SIZE,
  newInHeader,
} from "../format/fuse/header.ts";
import { FUSE_ERRORS, FUSE_OPCODES, FUSE_ROOT_ID, hasNoReply } from "../format/fuse/opcodes.ts";
import type { Filesystem, ReadPlan } from "./filesystem.ts";
import { isPlanReady, readPlan, type SharedBlob } from "./mount-blob.ts";

/** Bytes of the largest READ: 256 pages, what the kernel sends at most. */
export const MAX_READ = 2 ** 20;

/** Bytes of a request buffer. Requests to a read-only filesystem are small; more room takes more FORGETs at once. */
export const REQUEST_BUFFER_SIZE = 2 ** 16;

/** Bytes of a reply buffer. */
export const REPLY_BUFFER_SIZE = FUSE_OUT_HEADER_SIZE + MAX_READ;

/** An image never changes: the kernel may remember names and attributes for as long as it likes. */
const VALID_SECONDS = 365 * 86_400;

/** A READ whose chunks are not all ready. */
export interface MissedRead {
  readonly unique: number;
  readonly nid: number;
  readonly offset: number;
  readonly size: number;
}

/** What became of a request: bytes of the reply to write (0 for none), or a READ that somebody else must answer. */
export type Handled = number | MissedRead;

/**
 * Answers the requests of one FUSE connection, one at a time, between two buffers that it owns.
 *
 * Node ids are 1 for the root and nid + 2 for the rest, so there is no table of nodes and FORGET means nothing.
 */
export class FuseHandler {
  /** To be filled with a request. */
  readonly request = new Uint8Array(REQUEST_BUFFER_SIZE);
  /** Holds the reply after {@link FuseHandler.handle}. */
  readonly reply = new Uint8Array(REPLY_BUFFER_SIZE);
  readonly #filesystem: Filesystem;
  readonly #blobs: readonly (SharedBlob | undefined)[];
  readonly #in = viewOf(this.request);
  readonly #out = viewOf(this.reply);
  readonly #header = newInHeader();

  /** @param blobs By blob index; rows may be filled while requests are handled. */
  constructor(filesystem: Filesystem, blobs: readonly (SharedBlob | undefined)[]) {
    this.#filesystem = filesystem;
    this.#blobs = blobs;
  }

  /** Answers the request of `length` bytes in {@link FuseHandler.request}. Never throws for what an image holds. */
  handle(length: number): Handled {
    if (length < FUSE_IN_HEADER_SIZE) return 0;
    const header = this.#header;
    decodeInHeader(this.#in, 0, header);
    if (hasNoReply(header.opcode)) return 0;
    try {
      const nid = this.#nid(header.nodeId);
      if (header.opcode === FUSE_OPCODES.READ) return this.#read(nid);
      return this.#finish(this.#answer(header.opcode, nid, length), 0);
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

  #nid(nodeId: number): number {
    return nodeId === FUSE_ROOT_ID ? this.#filesystem.rootNid : nodeId - 2;
  }

  #nodeId(nid: number): number {
    return nid === this.#filesystem.rootNid ? FUSE_ROOT_ID : nid + 2;
  }

  /** Writes the body of the reply; returns its bytes. */
  #answer(opcode: number, nid: number, length: number): number {
    switch (opcode) {
      case FUSE_OPCODES.LOOKUP:
        return this.#lookup(nid, this.#name(FUSE_IN_HEADER_SIZE, length));
      case FUSE_OPCODES.GETATTR:
        encodeAttrOut(this.#out, FUSE_OUT_HEADER_SIZE, VALID_SECONDS, this.#filesystem.attributes(nid));
        return FUSE_ATTR_OUT_SIZE;
      case FUSE_OPCODES.READDIR:
        return this.#readDirectory(nid, false);
      case FUSE_OPCODES.READDIRPLUS:
        return this.#readDirectory(nid, true);
      case FUSE_OPCODES.READLINK:
        return this.#copy(this.#filesystem.readlink(nid));
      case FUSE_OPCODES.GETXATTR: {
        this.#requireXattrs();
        const value = this.#filesystem.xattr(nid, this.#name(FUSE_IN_HEADER_SIZE + 8, length));
        if (value === undefined) throw new FuseError(FUSE_ERRORS.ENODATA);
        return this.#giveXattr(value);
      }
      case FUSE_OPCODES.LISTXATTR: {
        this.#requireXattrs();
        const names = [...this.#filesystem.xattrs(nid).keys()];
        return this.#giveXattr(Buffer.from(names.map((name) => `${name}\0`).join(""), "latin1"));
      }
      case FUSE_OPCODES.STATFS:
        encodeStatfsOut(this.#out, FUSE_OUT_HEADER_SIZE, this.#filesystem.size());
        return FUSE_STATFS_OUT_SIZE;
      case FUSE_OPCODES.RELEASE:
      case FUSE_OPCODES.RELEASEDIR:
      case FUSE_OPCODES.FLUSH:
      case FUSE_OPCODES.DESTROY:
        return 0;
      default:
        // For OPEN and OPENDIR the kernel takes this as "never ask again, keep all caches".
        throw new FuseError(FUSE_ERRORS.ENOSYS);
    }
  }

  #lookup(directory: number, name: ByteString): number {
    const nid = this.#filesystem.lookup(directory, name);
    if (nid === undefined) encodeAbsentEntryOut(this.#out, FUSE_OUT_HEADER_SIZE, VALID_SECONDS);
    else this.#encodeEntry(FUSE_OUT_HEADER_SIZE, nid);
    return FUSE_ENTRY_OUT_SIZE;
  }

  #encodeEntry(at: number, nid: number): void {
    encodeEntryOut(this.#out, at, this.#nodeId(nid), VALID_SECONDS, this.#filesystem.attributes(nid));
  }

  #readDirectory(nid: number, plus: boolean): number {
    const position = readInOffset(this.#in, FUSE_IN_HEADER_SIZE);
    const room = Math.min(readInSize(this.#in, FUSE_IN_HEADER_SIZE), MAX_READ);
    let used = 0;
    for (const entry of this.#filesystem.entriesFrom(nid, position)) {
      const { name, nid: ino, nextPosition: nextOffset } = entry;
      const size = plus ? direntPlusSize(name.length) : direntSize(name.length);
      if (used + size > room) break;
      const type = this.#filesystem.entryType(entry);
      let at = FUSE_OUT_HEADER_SIZE + used;
      if (plus) {
        if (name === "." || name === "..") encodeAbsentEntryOut(this.#out, at, 0);
        else this.#encodeEntry(at, ino);
        at += FUSE_ENTRY_OUT_SIZE;
      }
      encodeDirent(this.#out, at, { ino, nextOffset, type, name });
      used += size;
    }
    return used;
  }

  #read(nid: number): Handled {
    const offset = readInOffset(this.#in, FUSE_IN_HEADER_SIZE);
    const size = Math.min(readInSize(this.#in, FUSE_IN_HEADER_SIZE), MAX_READ);
    const plan = this.#filesystem.plan(nid, offset, size);
    if (!isPlanReady(plan, this.#blobs)) return { unique: this.#header.unique, nid, offset, size };
    return encodeReadReply(plan, this.#blobs, this.reply, this.#out, this.#header.unique);
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

  /** ENOSYS makes the kernel ask no more: `ls -l` alone asks for two xattrs of every file. nydusd does the same. */
  #requireXattrs(): void {
    if (!this.#filesystem.hasXattrs) throw new FuseError(FUSE_ERRORS.ENOSYS);
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
  if (error instanceof RangeError) return FUSE_ERRORS.EINVAL;
  if (!(error instanceof CodedError)) return FUSE_ERRORS.EIO;
  const numbers: Readonly<Record<string, number>> = FUSE_ERRORS;
  return numbers[ERRORS[error.code].errno] ?? FUSE_ERRORS.EIO;
}

/**
 * Writes the reply to a READ whose pieces are all ready. Returns its bytes.
 *
 * @throws {CodedError} as readPlan.
 */
export function encodeReadReply(
  plan: ReadPlan,
  blobs: readonly (SharedBlob | undefined)[],
  reply: Uint8Array,
  view: DataView,
  unique: number,
): number {
  readPlan(plan, blobs, reply, FUSE_OUT_HEADER_SIZE);
  encodeOutHeader(view, 0, plan.length, 0, unique);
  return FUSE_OUT_HEADER_SIZE + plan.length;
}
