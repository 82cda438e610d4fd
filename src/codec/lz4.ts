import { compressSync, uncompressSync } from "lz4-napi";

/** lz4-napi puts the decoded size, a little-endian u32, before the LZ4 block. RAFS stores the bare block. */
const SIZE_PREFIX_LENGTH = 4;

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** One raw LZ4 block: no frame, no length prefix. */
export function compressLz4(bytes: Uint8Array): Uint8Array {
  const prefixed = compressSync(bufferOf(bytes));
  return new Uint8Array(
    prefixed.buffer,
    prefixed.byteOffset + SIZE_PREFIX_LENGTH,
    prefixed.byteLength - SIZE_PREFIX_LENGTH,
  );
}

/**
 * Decodes one raw LZ4 block, without the addon. The decoder allocates `decodedSize` bytes and never writes past them.
 *
 * @returns At most `decodedSize` bytes; fewer when the block holds fewer.
 * @throws {Error} when the block is damaged or holds more.
 */
export function decompressLz4(block: Uint8Array, decodedSize: number): Uint8Array {
  const prefixed = Buffer.allocUnsafe(SIZE_PREFIX_LENGTH + block.length);
  prefixed.writeUInt32LE(decodedSize, 0);
  prefixed.set(block, SIZE_PREFIX_LENGTH);
  const decoded = uncompressSync(prefixed);
  return new Uint8Array(decoded.buffer, decoded.byteOffset, decoded.byteLength);
}
