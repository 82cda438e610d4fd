import { CodedError } from "../base/errors.ts";
import type { PieceReader } from "./piece-reader.ts";
import { requireZstd } from "./zstd.ts";

const OUTPUT_PIECE = 128 * 1024;

/**
 * Decodes every frame of a zstd stream; skippable frames yield nothing.
 *
 * @throws {CodedError} ERR_LAYER_INVALID when a frame is truncated, damaged, needs a window over 128 MiB,
 *   or is followed by something else; ERR_CODEC_MISSING without zstd-napi.
 */
export async function* decompressZstdFrames(
  reader: PieceReader,
): AsyncGenerator<Uint8Array, void, undefined> {
  const decoder = requireZstd().openDecoder();
  let isFrameDone = true;
  let target = new Uint8Array(OUTPUT_PIECE);
  for (;;) {
    let piece = await reader.next();
    if (piece === undefined) break;
    // A full target may leave decoded bytes inside the decoder: step again, even with no input left.
    for (let isDrained = false; piece.length > 0 || !isDrained; ) {
      let step: ReturnType<typeof decoder.step>;
      try {
        step = decoder.step(target, piece);
      } catch (cause) {
        throw new CodedError("ERR_LAYER_INVALID", "zstd stream is damaged", { cause });
      }
      piece = piece.subarray(step.consumed);
      isFrameDone = step.isFrameDone;
      isDrained = step.produced < target.length || isFrameDone;
      if (step.produced === 0) continue;
      yield target.subarray(0, step.produced);
      target = new Uint8Array(OUTPUT_PIECE);
    }
  }
  if (!isFrameDone) throw new CodedError("ERR_LAYER_INVALID", "zstd stream ends inside a frame");
}
