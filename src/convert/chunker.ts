/**
 * Cuts the bytes of one file into chunks: at multiples of `chunkSize`, the last one shorter.
 *
 * One array is used again and again: a chunk is only valid until the next one is asked for.
 *
 * @param chunkSize Bytes.
 */
export async function* cutChunks(
  pieces: AsyncIterable<Uint8Array>,
  chunkSize: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let chunk: Uint8Array | undefined;
  let filled = 0;
  for await (const piece of pieces) {
    let taken = 0;
    while (taken < piece.length) {
      if (filled === 0 && piece.length - taken >= chunkSize) {
        yield piece.subarray(taken, taken + chunkSize);
        taken += chunkSize;
        continue;
      }
      // Most files of an image are small: grow to what is there instead of a whole chunk for each.
      const wanted = Math.min(chunkSize, filled + piece.length - taken);
      if (chunk === undefined || chunk.length < wanted) chunk = grown(chunk, filled, wanted, chunkSize);
      const part = piece.subarray(taken, taken + wanted - filled);
      chunk.set(part, filled);
      filled += part.length;
      taken += part.length;
      if (filled === chunkSize) {
        yield chunk.subarray(0, chunkSize);
        filled = 0;
      }
    }
  }
  if (chunk !== undefined && filled > 0) yield chunk.subarray(0, filled);
}

function grown(chunk: Uint8Array | undefined, filled: number, wanted: number, chunkSize: number): Uint8Array {
  const larger = new Uint8Array(Math.min(chunkSize, Math.max(wanted, 2 * (chunk?.length ?? 0))));
  if (chunk !== undefined) larger.set(chunk.subarray(0, filled));
  return larger;
}
