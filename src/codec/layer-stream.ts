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
 * Decodes a layer of any compression, piece by piece. The source is read only as fast as the result,
 * and closed when the result is.
 *
 * @param openInflater Makes what decodes gzip; zlib does where it makes nothing. @default ISA-L where the machine has it
 * @throws {CodedError} ERR_LAYER_INVALID when the stream is truncated or damaged, ERR_CODEC_MISSING for
 *   zstd without zstd-napi; errors of the source come through as they are.
 */
export async function* decompressLayer(
  source: AsyncIterable<Uint8Array>,
  openInflater: () => Inflater | undefined = openFastInflater,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = new PieceReader(source);
  try {
    const compression = detectCompression(await reader.peek(MAGIC_LENGTH));
    if (compression === "gzip") yield* gunzipMembers(reader, openInflater());
    else if (compression === "zstd") yield* decompressZstdFrames(reader);
    else yield* piecesOf(reader);
    // The source checks size and digest at its end: it must be read to there, padding included.
    while ((await reader.next()) !== undefined);
  } finally {
    await reader.close();
  }
}

function openFastInflater(): Inflater | undefined {
  return addon()?.isal()?.openInflater();
}

async function* piecesOf(reader: PieceReader): AsyncGenerator<Uint8Array, void, undefined> {
  for (let piece = await reader.next(); piece !== undefined; piece = await reader.next()) yield piece;
}
