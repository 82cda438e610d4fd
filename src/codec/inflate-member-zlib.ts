import { crc32, createInflateRaw, type InflateRaw } from "node:zlib";
import { CodedError } from "../base/errors.ts";
import type { PieceReader } from "./piece-reader.ts";

const OUTPUT_PIECE = 128 * 1024;
const TRAILER_LENGTH = 8;

/**
 * Decodes one gzip member behind its header, and leaves the reader right behind it.
 *
 * zlib's own reader of members is not used: it fails on garbage behind them and drops the output before it.
 *
 * @throws {CodedError} ERR_LAYER_INVALID when the member is truncated or damaged.
 */
export async function* inflateMemberWithZlib(
  reader: PieceReader,
): AsyncGenerator<Uint8Array, void, undefined> {
  let sum = 0;
  let size = 0;
  for await (const piece of inflateOne(reader)) {
    sum = crc32(piece, sum);
    size += piece.length;
    yield piece;
  }
  const trailer = await reader.take(TRAILER_LENGTH);
  const view = new DataView(trailer.buffer, trailer.byteOffset, TRAILER_LENGTH);
  if (view.getUint32(0, true) !== sum || view.getUint32(4, true) !== size % 2 ** 32) {
    throw new CodedError("ERR_LAYER_INVALID", "gzip member does not match its checksum or size");
  }
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
