import { crc32, createInflateRaw, type InflateRaw } from "node:zlib";
import { CodedError } from "../base/errors.ts";
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
const OUTPUT_PIECE = 128 * 1024;

/**
 * Decodes every member of a gzip stream. Whatever follows the last member and does not start another
 * (zero padding, garbage) is ignored, as gzip(1) does.
 *
 * zlib's own multi-member reader is not used: it fails on garbage and drops the output before it.
 *
 * @throws {CodedError} ERR_LAYER_INVALID when a member is truncated or damaged.
 * @see RFC 1952
 */
export async function* gunzipMembers(reader: PieceReader): AsyncGenerator<Uint8Array, void, undefined> {
  do {
    await skipHeader(reader);
    let sum = 0;
    let size = 0;
    for await (const piece of inflateOne(reader)) {
      sum = crc32(piece, sum);
      size += piece.length;
      yield piece;
    }
    const trailer = await reader.take(8);
    const view = new DataView(trailer.buffer, trailer.byteOffset, 8);
    if (view.getUint32(0, true) !== sum || view.getUint32(4, true) !== size % 2 ** 32) {
      throw new CodedError("ERR_LAYER_INVALID", "gzip member does not match its checksum or size");
    }
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

/** Decodes one deflate stream and leaves the reader right behind it. */
async function* inflateOne(reader: PieceReader): AsyncGenerator<Uint8Array, void, undefined> {
  const inflater = createInflateRaw({ chunkSize: OUTPUT_PIECE });
  const isEnded = new Promise<true>((resolve) => {
    inflater.once("end", () => resolve(true));
    inflater.once("close", () => resolve(true));
  });
  const feeding = feed(reader, inflater, isEnded);
  // A failure of the source reaches the consumer through the destroyed inflater.
  feeding.catch((error: Error) => inflater.destroy(error));
  try {
    for await (const piece of inflater) yield piece as Buffer;
    await feeding;
  } catch (cause) {
    if (cause instanceof CodedError || !isZlibError(cause)) throw cause;
    throw new CodedError("ERR_LAYER_INVALID", `gzip stream is damaged or truncated: ${cause.message}`, {
      cause,
    });
  } finally {
    inflater.destroy();
  }
}

function isZlibError(error: unknown): error is Error {
  return error instanceof Error && String((error as { code?: unknown }).code).startsWith("Z_");
}

/** Writes pieces until the deflate stream ends, then gives the rest of the last piece back. */
async function feed(reader: PieceReader, inflater: InflateRaw, isEnded: Promise<true>): Promise<void> {
  for (;;) {
    const piece = await reader.next();
    if (piece === undefined) {
      inflater.end();
      return;
    }
    const before = inflater.bytesWritten;
    const isDone = await Promise.race([isEnded, write(inflater, piece)]);
    const rest = piece.subarray(inflater.bytesWritten - before);
    // zlib leaves bytes alone only behind the end of its stream.
    if (rest.length > 0) reader.unread(rest);
    if (isDone || rest.length > 0) return;
  }
}

/** Resolves to false when the inflater is done with the piece, unless it was closed before. */
function write(inflater: InflateRaw, piece: Uint8Array): Promise<false> {
  return new Promise((resolve) => inflater.write(piece, () => resolve(false)));
}
