import { viewOf } from "../base/bytes.ts";
import {
  decodeInHeader,
  encodeOutHeader,
  FUSE_IN_HEADER_SIZE,
  FUSE_OUT_HEADER_SIZE,
  newInHeader,
} from "../format/fuse/header.ts";
import {
  decodeInitIn,
  encodeInitOut,
  FUSE_INIT_FLAGS,
  FUSE_INIT_IN_MIN_SIZE,
  FUSE_INIT_OUT_SIZE,
  FUSE_MAJOR,
  FUSE_MINOR_MIN,
} from "../format/fuse/init.ts";
import { FUSE_ERRORS, FUSE_OPCODES } from "../format/fuse/opcodes.ts";
import { MAX_READ } from "../native/fuse-device.ts";
import type { SessionRecord } from "./session-record.ts";

/** A reply to INIT. */
export interface InitReply {
  readonly bytes: Uint8Array;
  /** What was agreed; absent when nothing was. */
  readonly session?: SessionRecord;
  /** Why the reply is an error; absent when the connection stands. */
  readonly problem?: string;
}

/**
 * Reads that nobody waits for yet (readahead) in flight at once. All images of a node share it, and reads of one may
 * wait for a registry that is down: more than a few images can have waiting.
 */
const MAX_BACKGROUND = 512;

/** Makes the reply to the first request of a connection. */
export function answerInit(request: Uint8Array): InitReply {
  const view = viewOf(request);
  const header = newInHeader();
  if (request.length < FUSE_IN_HEADER_SIZE + FUSE_INIT_IN_MIN_SIZE) {
    return { bytes: new Uint8Array(0), problem: `first FUSE request has ${request.length} bytes` };
  }
  decodeInHeader(view, 0, header);
  const { major, minor, flags, canResend } = decodeInitIn(view, FUSE_IN_HEADER_SIZE);
  const wanted = Object.values(FUSE_INIT_FLAGS).reduce((bits, bit) => bits + bit, 0);
  if (header.opcode !== FUSE_OPCODES.INIT || major !== FUSE_MAJOR || minor < FUSE_MINOR_MIN) {
    const bytes = new Uint8Array(FUSE_OUT_HEADER_SIZE);
    encodeOutHeader(viewOf(bytes), 0, 0, FUSE_ERRORS.EPROTO, header.unique);
    const expected = `expected ${FUSE_MAJOR}.${FUSE_MINOR_MIN} or a later ${FUSE_MAJOR}.x`;
    return {
      bytes,
      problem: `kernel speaks FUSE ${major}.${minor} in request ${header.opcode}, ${expected}`,
    };
  }
  const bytes = new Uint8Array(FUSE_OUT_HEADER_SIZE + FUSE_INIT_OUT_SIZE);
  encodeOutHeader(viewOf(bytes), 0, FUSE_INIT_OUT_SIZE, 0, header.unique);
  encodeInitOut(viewOf(bytes), FUSE_OUT_HEADER_SIZE, {
    // The kernel takes the smaller of this and what the mount's device allows.
    maxReadahead: MAX_READ,
    flags: flags & wanted,
    maxBackground: MAX_BACKGROUND,
    congestionThreshold: (MAX_BACKGROUND * 3) / 4,
    // Nobody writes; a small number lets the request buffers be small.
    maxWrite: 4096,
    timeGranularity: 1,
    maxPages: MAX_READ / 4096,
  });
  return { bytes, session: { version: 1, minor, canResend } };
}
