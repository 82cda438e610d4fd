import { CodedError } from "../base/errors.ts";
import type { RangeOptions } from "../store/blob-source.ts";

/** The value of a Range header. */
export function rangeHeader(offset: number, length: number): string {
  return `bytes=${offset}-${offset + length - 1}`;
}

/**
 * Gathers the body of the answer to a range, which must be exactly as long as the range.
 *
 * @param what For messages: `blob ID from PLACE`.
 * @param contentRange The header of the answer, which must be of this range.
 * @throws {CodedError} ERR_REGISTRY_PROTOCOL for an answer to something else, ERR_BLOB_CORRUPT when the blob ends
 *   before, and what the pieces throw.
 */
export async function gatherRange(
  pieces: AsyncIterable<Uint8Array>,
  contentRange: string | undefined,
  range: { readonly what: string; readonly offset: number; readonly length: number },
  { into }: Pick<RangeOptions, "into">,
): Promise<Uint8Array> {
  const { what, offset, length } = range;
  const match = /^bytes (\d{1,15})-(\d{1,15})\//.exec(contentRange ?? "");
  if (Number(match?.[1]) !== offset) {
    const found = JSON.stringify((contentRange ?? "").slice(0, 100));
    throw new CodedError(
      "ERR_REGISTRY_PROTOCOL",
      `${what}: bytes from ${offset} were answered with ${found}`,
    );
  }
  if (Number(match?.[2]) + 1 < offset + length) {
    throw new CodedError("ERR_BLOB_CORRUPT", `${what} ends before byte ${offset + length}`);
  }
  const bytes = into ?? new Uint8Array(length);
  let filled = 0;
  for await (const piece of pieces) {
    if (filled + piece.length > length) {
      throw new CodedError("ERR_REGISTRY_PROTOCOL", `${what}: more than ${length} bytes came`);
    }
    bytes.set(piece, filled);
    filled += piece.length;
  }
  if (filled < length) {
    throw new CodedError("ERR_SOURCE_UNAVAILABLE", `${what}: ${filled} of ${length} bytes came`);
  }
  return bytes;
}
