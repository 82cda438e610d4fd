import { type ByteString, bytesOf, concatBytes } from "../../base/bytes.ts";

/** Bytes that everything in a tar is a multiple of. */
export const TAR_RECORD_SIZE = 512;

/** Two empty records end an archive. */
export const TAR_END = new Uint8Array(2 * TAR_RECORD_SIZE);

/** What an entry of a tar is, by its letter in the header. */
export const TAR_TYPES = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  char: "3",
  block: "4",
  dir: "5",
  fifo: "6",
} as const;

/** What the header of an entry says. Names are bytes, whatever their encoding. */
export interface PaxEntry {
  readonly path: ByteString;
  readonly type: keyof typeof TAR_TYPES;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content that follow; 0 for all but files. */
  readonly size: number;
  readonly mtime: { readonly seconds: number; readonly nanoseconds: number };
  /** Of symlinks and hard links. */
  readonly target?: ByteString;
  /** Of devices. */
  readonly device?: { readonly major: number; readonly minor: number };
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
}

const MAX_NAME = 100;
/** Largest number of 7 and of 11 octal digits. */
const MAX_OCTAL_7 = 0o7777777;
const MAX_OCTAL_11 = 0o77777777777;
const NANOSECONDS = 1_000_000_000n;

/**
 * The header of an entry: in ustar form where that can hold it, with an extended header in front where not.
 * The same entry gives the same bytes.
 *
 * @see POSIX.1-2017 pax; `SCHILY.xattr` as star and GNU tar write it
 */
export function encodePaxEntry(entry: PaxEntry): Uint8Array {
  const records: Uint8Array[] = [];
  const { seconds, nanoseconds } = entry.mtime;
  const target = entry.target ?? "";
  const needsBytes = (text: ByteString): boolean => text.length > MAX_NAME;
  if (needsBytes(entry.path)) records.push(paxRecord("path", bytesOf(entry.path)));
  if (needsBytes(target)) records.push(paxRecord("linkpath", bytesOf(target)));
  if (entry.size > MAX_OCTAL_11) records.push(textRecord("size", String(entry.size)));
  if (entry.uid > MAX_OCTAL_7) records.push(textRecord("uid", String(entry.uid)));
  if (entry.gid > MAX_OCTAL_7) records.push(textRecord("gid", String(entry.gid)));
  const isPlainTime = nanoseconds === 0 && seconds >= 0 && seconds <= MAX_OCTAL_11;
  if (!isPlainTime) records.push(textRecord("mtime", paxTime(seconds, nanoseconds)));
  const xattrs = [...entry.xattrs].sort(([left], [right]) => (left < right ? -1 : 1));
  for (const [name, value] of xattrs) records.push(paxRecord(`SCHILY.xattr.${keyOf(name)}`, value));
  const header = ustarHeader(entry, TAR_TYPES[entry.type], isPlainTime ? seconds : 0);
  if (records.length === 0) return header;
  if ([entry.path, target].some((text) => needsBytes(text) && !isUtf8(bytesOf(text)))) {
    records.unshift(textRecord("hdrcharset", "BINARY"));
  }
  const extension = concatBytes(records);
  const extensionEntry = { ...EXTENSION, size: extension.length };
  return concatBytes([ustarHeader(extensionEntry, "x", 0), padded(extension), header]);
}

/** Zeroes that follow a content of `size` bytes. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array((TAR_RECORD_SIZE - (size % TAR_RECORD_SIZE)) % TAR_RECORD_SIZE);
}

const EXTENSION: PaxEntry = {
  path: "PaxHeader",
  type: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  xattrs: new Map(),
};

function ustarHeader(entry: PaxEntry, letter: string, mtime: number): Uint8Array {
  const header = new Uint8Array(TAR_RECORD_SIZE);
  const text = (offset: number, length: number, value: ByteString): void =>
    header.set(bytesOf(value).subarray(0, length), offset);
  const octal = (offset: number, digits: number, value: number): void =>
    text(offset, digits, value.toString(8).padStart(digits, "0"));
  text(0, MAX_NAME, entry.path);
  octal(100, 7, entry.mode);
  octal(108, 7, Math.min(entry.uid, MAX_OCTAL_7));
  octal(116, 7, Math.min(entry.gid, MAX_OCTAL_7));
  octal(124, 11, Math.min(entry.size, MAX_OCTAL_11));
  octal(136, 11, mtime);
  text(156, 1, letter);
  text(157, MAX_NAME, entry.target ?? "");
  text(257, 8, "ustar\u000000");
  octal(329, 7, entry.device?.major ?? 0);
  octal(337, 7, entry.device?.minor ?? 0);
  // The sum is taken with its own field as spaces.
  const sum = header.reduce((total, byte) => total + byte, 8 * 0x20);
  text(148, 8, `${sum.toString(8).padStart(6, "0")}\0 `);
  return header;
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function paxRecord(key: ByteString, value: Uint8Array): Uint8Array {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return concatBytes([bytesOf(`${length} ${key}=`), value, bytesOf("\n")]);
}

function textRecord(key: string, value: string): Uint8Array {
  return paxRecord(key, bytesOf(value));
}

/** The key ends at the first `=`: GNU tar's way to have one in it. */
function keyOf(name: ByteString): ByteString {
  return name.includes("=") ? name.replaceAll("%", "%25").replaceAll("=", "%3D") : name;
}

function paxTime(seconds: number, nanoseconds: number): string {
  const total = BigInt(seconds) * NANOSECONDS + BigInt(nanoseconds);
  const absolute = total < 0n ? -total : total;
  const fraction = (absolute % NANOSECONDS).toString().padStart(9, "0").replace(/0+$/, "");
  return `${total < 0n ? "-" : ""}${absolute / NANOSECONDS}${fraction === "" ? "" : `.${fraction}`}`;
}

function padded(bytes: Uint8Array): Uint8Array {
  return concatBytes([bytes, tarPadding(bytes.length)]);
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
