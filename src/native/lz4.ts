/** liblz4, whose decoder is about four times as fast as that of lz4-napi. */
export interface Lz4 {
  /** Name of the library's file with its version: `liblz4.so.1.9.4`. */
  readonly file: string;
  /**
   * Decodes one raw LZ4 block of less than 2 GiB into `target` and never writes past it.
   *
   * A damaged block may decode to bytes that lay in `target` before (a match at distance 0, which no encoder writes):
   * where they could be another's, they must not leave before a digest was compared.
   *
   * @returns Bytes written.
   * @throws {Error} when the block is damaged or holds more than fits in `target`.
   */
  decompressInto(target: Uint8Array, block: Uint8Array): number;
}

/** The functions of lz4.cc. */
export interface Lz4Exports {
  /** `undefined` where the library is not installed; the other must not be called then. */
  lz4File(): string | undefined;
  /** Negative for a failure. */
  lz4Decompress(target: Uint8Array, block: Uint8Array): number;
}

/** The library, where the machine has it. */
export function loadLz4({ lz4File, lz4Decompress }: Lz4Exports): Lz4 | undefined {
  const file = lz4File();
  if (file === undefined) return undefined;
  return {
    file,
    decompressInto(target, block) {
      const length = lz4Decompress(target, block);
      if (length < 0) throw new Error("LZ4 block is damaged or too long");
      return length;
    },
  };
}
