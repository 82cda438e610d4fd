import { CodedError } from "../base/errors.ts";
import type { Inflater } from "../native/isal.ts";
import type { PieceReader } from "./piece-reader.ts";

const OUTPUT_PIECE = 256 * 1024;

/**
 * Decodes one gzip member behind its header, and leaves the reader right behind it.
 *
 * @throws {CodedError} ERR_LAYER_INVALID when the member is truncated or damaged.
 */
export async function* inflateMember(
  reader: PieceReader,
  inflater: Inflater,
): AsyncGenerator<Uint8Array, void, undefined> {
  let target: Uint8Array = Buffer.allocUnsafeSlow(OUTPUT_PIECE);
  for (;;) {
    let piece = await reader.next();
    if (piece === undefined) throw new CodedError("ERR_LAYER_INVALID", "gzip stream ends inside a member");
    // A full target may leave decoded bytes inside the inflater: step again, even with no input left.
    for (let isDrained = false; piece.length > 0 || !isDrained; ) {
      const { produced, consumed, isMemberDone } = step(inflater, target, piece);
      // It has room and bytes: a step that gets nowhere would be repeated for ever.
      if (piece.length > 0 && produced === 0 && consumed === 0 && !isMemberDone) {
        throw new CodedError("ERR_LAYER_INVALID", "gzip stream is damaged: its decoder makes no progress");
      }
      piece = piece.subarray(consumed);
      isDrained = produced < target.length;
      if (produced > 0) {
        yield target.subarray(0, produced);
        target = Buffer.allocUnsafeSlow(OUTPUT_PIECE);
      }
      if (!isMemberDone) continue;
      reader.unread(piece);
      return;
    }
  }
}

function step(inflater: Inflater, target: Uint8Array, source: Uint8Array): ReturnType<Inflater["step"]> {
  try {
    return inflater.step(target, source);
  } catch (cause) {
    throw new CodedError("ERR_LAYER_INVALID", "gzip stream is damaged", { cause });
  }
}
