import { CodedError } from "../base/errors.ts";
import type { Inflater } from "../native/isal.ts";
import { inflateMember } from "./inflate-member.ts";
import { inflateMemberWithZlib } from "./inflate-member-zlib.ts";
import type { PieceReader } from "./piece-reader.ts";

const FIXED_HEADER_LENGTH = 10;
const DEFLATE = 8;
const HAS_HEADER_CRC = 2;
const HAS_EXTRA = 4;
const HAS_NAME = 8;
const HAS_COMMENT = 16;
const RESERVED_FLAGS = 0xe0;

/** Longest file name or comment in a member's header; gzip itself has no limit. */
const MAX_HEADER_TEXT = 65536;

/**
 * Decodes every member of a gzip stream. Whatever follows the last member and does not start another
 * (zero padding, garbage) is ignored, as gzip(1) does.
 *
 * @param inflater What decodes the members; without one zlib does, to the same bytes and error codes.
 * @throws {CodedError} ERR_LAYER_INVALID when a member is truncated or damaged.
 * @see RFC 1952
 */
export async function* gunzipMembers(
  reader: PieceReader,
  inflater: Inflater | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  do {
    await skipHeader(reader);
    yield* inflater === undefined ? inflateMemberWithZlib(reader) : inflateMember(reader, inflater);
  } while (await atMember(reader));
}

async function atMember(reader: PieceReader): Promise<boolean> {
  const magic = await reader.peek(2);
  return magic[0] === 0x1f && magic[1] === 0x8b;
}

async function skipHeader(reader: PieceReader): Promise<void> {
  const header = await reader.take(FIXED_HEADER_LENGTH);
  const flags = header[3] as number;
  if (header[2] !== DEFLATE || (flags & RESERVED_FLAGS) !== 0) {
    throw new CodedError("ERR_LAYER_INVALID", `gzip header with method ${header[2]} and flags ${flags}`);
  }
  if (flags & HAS_EXTRA) {
    const [low = 0, high = 0] = await reader.take(2);
    await reader.take(low + high * 256);
  }
  if (flags & HAS_NAME) await skipText(reader);
  if (flags & HAS_COMMENT) await skipText(reader);
  if (flags & HAS_HEADER_CRC) await reader.take(2);
}

async function skipText(reader: PieceReader): Promise<void> {
  for (let length = 0; length <= MAX_HEADER_TEXT; length++) {
    if ((await reader.take(1))[0] === 0) return;
  }
  throw new CodedError("ERR_LAYER_INVALID", `gzip header with a text of over ${MAX_HEADER_TEXT} bytes`);
}
