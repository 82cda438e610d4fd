import { CodedError } from "../base/errors.ts";
import { addon } from "../native/addon.ts";
import type { Inflater } from "../native/isal.ts";
import { gunzipMembers } from "./gzip-stream.ts";
import { PieceReader } from "./piece-reader.ts";
import { decompressZstdFrames } from "./zstd-stream.ts";

/** How a layer is compressed as a whole. */
export type LayerCompression = "gzip" | "zstd" | "none";

/** Bytes that {@link detectCompression} wants to see. */
export const MAGIC_LENGTH = 4;

/** Tells by the first {@link MAGIC_LENGTH} bytes; the media type of a layer is not always right. */
export function detectCompression(start: Uint8Array): LayerCompression {
  const [first, second, third, fourth] = start;
  if (first === 0x1f && second === 0x8b) return "gzip";
  if (first === 0x28 && second === 0xb5 && third === 0x2f && fourth === 0xfd) return "zstd";
  const isSkippable = first !== undefined && (first & 0xf0) === 0x50 && second === 0x2a && third === 0x4d;
  return isSkippable && fourth === 0x18 ? "zstd" : "none";
}

/**
 * Decoded bytes of a layer for each stored one. Deflate cannot make more than 1032; a zstd frame can hold any number,
 * so a layer beyond this ratio and {@link MAX_UNRELATED_SIZE} is a bomb.
 */
const MAX_RATIO = 1100;

/** Decoded bytes that a layer may have whatever its ratio: a disk image may well be zeros to nine tenths. */
const MAX_UNRELATED_SIZE = 64 * 2 ** 30;

/** How a layer is decoded. */
export interface LayerStreamOptions {
  /** Makes what decodes gzip; zlib does where it makes nothing. @default ISA-L where the machine has it */
  readonly openInflater?: () => Inflater | undefined;
  /** Decoded bytes above which a layer may not have over 1100 for each stored one. @default 64 GiB */
  readonly maxUnrelatedSize?: number;
}

/**
 * Decodes a layer of any compression, piece by piece. The source is read only as fast as the result,
 * and closed when the result is.
 *
 * What follows the last member of a gzip stream and does not start another is ignored, as gzip(1) does; what follows
 * a zstd frame must be another, as zstd(1) has it.
 *
 * @throws {CodedError} ERR_LAYER_INVALID when the stream is truncated or damaged, ERR_LIMIT_EXCEEDED when it decodes
 *   to absurdly many bytes, ERR_CODEC_MISSING for zstd without zstd-napi; errors of the source come through as they are.
 */
export async function* decompressLayer(
  source: AsyncIterable<Uint8Array>,
  { openInflater = openFastInflater, maxUnrelatedSize = MAX_UNRELATED_SIZE }: LayerStreamOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = new PieceReader(source);
  try {
    const compression = detectCompression(await reader.peek(MAGIC_LENGTH));
    let size = 0;
    for await (const piece of decode(compression, reader, openInflater)) {
      size += piece.length;
      if (size > maxUnrelatedSize && size > MAX_RATIO * reader.bytesRead) {
        throw new CodedError("ERR_LIMIT_EXCEEDED", `layer decodes ${reader.bytesRead} bytes to over ${size}`);
      }
      yield piece;
    }
    // The source checks size and digest at its end: it must be read to there, padding included.
    while ((await reader.next()) !== undefined);
  } finally {
    await reader.close();
  }
}

function decode(
  compression: LayerCompression,
  reader: PieceReader,
  openInflater: () => Inflater | undefined,
): AsyncIterable<Uint8Array> {
  if (compression === "gzip") return gunzipMembers(reader, openInflater());
  return compression === "zstd" ? decompressZstdFrames(reader) : piecesOf(reader);
}

function openFastInflater(): Inflater | undefined {
  return addon()?.isal()?.openInflater();
}

async function* piecesOf(reader: PieceReader): AsyncGenerator<Uint8Array, void, undefined> {
  for (let piece = await reader.next(); piece !== undefined; piece = await reader.next()) yield piece;
}
