import type { Compressor } from "../../base/algorithm.ts";
import { byteString, bytesOf, getSafeUint64, setSafeUint64, viewOf } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";

/** Bytes of one row of the table of contents. */
export const TOC_ROW_SIZE = 128;
/** Readers take the last 4096 bytes of the blob: rows and one tar trailer must fit. */
export const MAX_TOC_ROWS = 28;

const NAME_OFFSET = 8;
const NAME_SIZE = 16;
const COMPRESSOR_FLAGS: ReadonlyMap<number, Compressor> = new Map([
  [1, "none"],
  [2, "zstd"],
  [4, "lz4_block"],
]);

/** One section of a blob file. Offsets and sizes are bytes. */
export interface TocRow {
  readonly name: string;
  readonly compressor: Compressor;
  /** sha256 of the decoded section. For `image.blob` it is of the stored chunks with their tar trailer. */
  readonly digest: Uint8Array;
  readonly storedOffset: number;
  readonly storedSize: number;
  readonly decodedSize: number;
}

/**
 * Reads the rows of a table of contents; `bytes` has the rows only, without the tar trailer behind them.
 *
 * On disk (little-endian): u32 compressor flag (1 none, 2 zstd, 4 lz4), u32 reserved, 16 bytes name,
 * 32 bytes sha256, u64 stored offset, stored size, decoded size, 48 bytes reserved (garbage in blobs of
 * nydus before 2.2.0).
 *
 * @throws {CodedError} ERR_BLOB_CORRUPT when the length is not of 1 to 28 rows, a compressor is not
 *   known, a name comes twice or an offset is over 2^53-1.
 * @see Nydus storage, blob table of contents
 */
export function decodeToc(bytes: Uint8Array): TocRow[] {
  const count = bytes.length / TOC_ROW_SIZE;
  if (!Number.isInteger(count) || count < 1 || count > MAX_TOC_ROWS) {
    throw new CodedError("ERR_BLOB_CORRUPT", `table of contents has ${bytes.length} bytes`);
  }
  const rows: TocRow[] = [];
  const view = viewOf(bytes);
  for (let index = 0; index < count; index++) {
    const row = decodeTocRow(view, index * TOC_ROW_SIZE);
    if (rows.some(({ name }) => name === row.name)) {
      throw new CodedError("ERR_BLOB_CORRUPT", `table of contents names ${JSON.stringify(row.name)} twice`);
    }
    rows.push(row);
  }
  return rows;
}

function decodeTocRow(view: DataView, offset: number): TocRow {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, TOC_ROW_SIZE);
  const name = byteString(bytes, NAME_OFFSET, NAME_OFFSET + NAME_SIZE).replace(/\0.*$/s, "");
  const compressor = COMPRESSOR_FLAGS.get(view.getUint32(offset, true));
  if (compressor === undefined) {
    throw new CodedError(
      "ERR_BLOB_CORRUPT",
      `table of contents has compressor flag ${view.getUint32(offset, true)} for ${JSON.stringify(name)}`,
    );
  }
  try {
    return {
      name,
      compressor,
      digest: bytes.slice(24, 56),
      storedOffset: getSafeUint64(view, offset + 56),
      storedSize: getSafeUint64(view, offset + 64),
      decodedSize: getSafeUint64(view, offset + 72),
    };
  } catch (cause) {
    throw new CodedError("ERR_BLOB_CORRUPT", `table of contents has an offset over 2^53-1 for ${name}`, {
      cause,
    });
  }
}

/**
 * The bytes of the rows, without the tar trailer.
 *
 * @throws {RangeError} for more than 28 rows, a name over 16 bytes or the compressor gzip.
 */
export function encodeToc(rows: readonly TocRow[]): Uint8Array {
  if (rows.length < 1 || rows.length > MAX_TOC_ROWS) {
    throw new RangeError(`table of contents has ${rows.length} rows`);
  }
  const bytes = new Uint8Array(rows.length * TOC_ROW_SIZE);
  const view = viewOf(bytes);
  for (const [index, row] of rows.entries()) {
    const offset = index * TOC_ROW_SIZE;
    const flag = [...COMPRESSOR_FLAGS].find(([, compressor]) => compressor === row.compressor)?.[0];
    if (flag === undefined) throw new RangeError(`table of contents cannot say ${row.compressor}`);
    if (row.name.length > NAME_SIZE) throw new RangeError(`table of contents cannot name ${row.name}`);
    view.setUint32(offset, flag, true);
    bytes.set(bytesOf(row.name), offset + NAME_OFFSET);
    bytes.set(row.digest.subarray(0, 32), offset + 24);
    setSafeUint64(view, offset + 56, row.storedOffset);
    setSafeUint64(view, offset + 64, row.storedSize);
    setSafeUint64(view, offset + 72, row.decodedSize);
  }
  return bytes;
}
