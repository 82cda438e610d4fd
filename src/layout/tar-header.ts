import { byteString, bytesOf } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";

/** Bytes of a header, and the unit that members are padded to. */
export const TAR_RECORD_SIZE = 512;

/** One header of a tar archive. */
export interface TarHeader {
  readonly name: string;
  /** Type flag: `0` file, `1` hard link, `2` symlink, `5` directory, `L`, `K`, `x`, `g` extended. */
  readonly type: string;
  readonly target: string;
  /** Bytes that follow, when `hasBody`. */
  readonly size: number;
  /** False for links, devices and directories, whose size says nothing about what follows. */
  readonly hasBody: boolean;
}

/**
 * Reads a header: ustar, GNU and old ones.
 *
 * Layout: name @0 (100), size @124 (12), checksum @148 (8), type @156, link target @157 (100), magic
 * @257 (6), prefix @345 (155).
 *
 * @throws {CodedError} ERR_ARCHIVE_CORRUPT when checksum or size is wrong.
 * @see POSIX ustar interchange format
 */
export function decodeTarHeader(record: Uint8Array, where: string): TarHeader {
  if (octal(record, 148, 8) !== checksumOf(record)) {
    throw new CodedError("ERR_ARCHIVE_CORRUPT", `${where}: no tar header, its checksum is wrong`);
  }
  const size = sizeField(record, where);
  const type = String.fromCharCode(record[156] ?? 0);
  // Only POSIX has a prefix; GNU keeps times in its place.
  const isPosix = text(record, 257, 6) === "ustar" && record[262] === 0;
  const prefix = isPosix ? text(record, 345, 155) : "";
  const name = text(record, 0, 100);
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    type,
    target: text(record, 157, 100),
    size,
    hasBody: !"123456".includes(type),
  };
}

/** A header for a file (`0`) or directory (`5`) of root, mode 0644 or 0755, at time zero. */
export function encodeTarHeader(name: string, type: "0" | "5", size: number): Uint8Array {
  if (name.length > 100) throw new TypeError(`tar name ${name} is over 100 bytes`);
  const record = new Uint8Array(TAR_RECORD_SIZE);
  const put = (offset: number, value: string): void => record.set(bytesOf(value), offset);
  put(0, name);
  put(100, type === "5" ? "0000755\0" : "0000644\0");
  put(108, "0000000\0");
  put(116, "0000000\0");
  put(124, sizeText(size));
  put(136, "00000000000\0");
  put(156, type);
  put(257, "ustar\0" + "00");
  put(148, `${checksumOf(record).toString(8).padStart(6, "0")}\0 `);
  return record;
}

/** True for a record of zeros: the end of the archive. */
export function isZeroRecord(record: Uint8Array): boolean {
  return record.every((byte) => byte === 0);
}

/** Octal up to 8 GiB, beyond that GNU's binary form, marked by the top bit. */
function sizeText(size: number): string {
  if (size < 8 ** 11) return `${size.toString(8).padStart(11, "0")}\0`;
  let text = "";
  let rest = size;
  for (let index = 0; index < 11; index++) {
    text = String.fromCharCode(rest % 256) + text;
    rest = Math.floor(rest / 256);
  }
  return `\x80${text}`;
}

function sizeField(record: Uint8Array, where: string): number {
  let size = octal(record, 124, 12);
  if (record[124] === 0x80) {
    size = 0;
    for (let index = 125; index < 136; index++) size = size * 256 + (record[index] ?? 0);
  }
  if (!Number.isSafeInteger(size))
    throw new CodedError("ERR_ARCHIVE_CORRUPT", `${where}: the size is no number`);
  return size;
}

function octal(record: Uint8Array, offset: number, length: number): number {
  const digits = byteString(record, offset, offset + length)
    .replace(/\0.*$/s, "")
    .trim();
  return digits === "" ? 0 : /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
}

function checksumOf(record: Uint8Array): number {
  let sum = 0;
  // The checksum counts its own field as spaces.
  for (let index = 0; index < TAR_RECORD_SIZE; index++) {
    sum += index >= 148 && index < 156 ? 0x20 : (record[index] ?? 0);
  }
  return sum;
}

function text(record: Uint8Array, offset: number, length: number): string {
  return byteString(record, offset, offset + length).replace(/\0.*$/s, "");
}
