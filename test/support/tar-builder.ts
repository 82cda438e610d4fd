import { Buffer } from "node:buffer";

/** Fields of a raw tar header; strings are latin-1 bytes, numbers are written as octal. */
export interface RawHeader {
  readonly name: string;
  readonly type?: string;
  readonly mode?: number;
  readonly uid?: number | Buffer;
  readonly gid?: number | Buffer;
  /** Stated size; by default that of the content. */
  readonly size?: number | Buffer;
  readonly mtime?: number | Buffer;
  readonly link?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly prefix?: string;
  /** `ustar` and version; "" for a v7 header. */
  readonly magic?: string;
  /** Bytes to overwrite, by offset, before the checksum is made. */
  readonly patches?: readonly (readonly [number, Buffer])[];
}

/** A header block with a valid checksum. */
export function tarHeader(fields: RawHeader): Buffer {
  const header = Buffer.alloc(512);
  const number = (value: number | Buffer, offset: number, width: number): void => {
    const bytes =
      typeof value === "number" ? Buffer.from(`${value.toString(8).padStart(width - 1, "0")}\0`) : value;
    bytes.copy(header, offset);
  };
  header.write(fields.name, 0, 100, "latin1");
  number(fields.mode ?? 0o644, 100, 8);
  number(fields.uid ?? 0, 108, 8);
  number(fields.gid ?? 0, 116, 8);
  number(fields.size ?? 0, 124, 12);
  number(fields.mtime ?? 0, 136, 12);
  header.write(fields.type ?? "0", 156, "latin1");
  header.write(fields.link ?? "", 157, 100, "latin1");
  header.write(fields.magic ?? "ustar\x0000", 257, "latin1");
  number(fields.major ?? 0, 329, 8);
  number(fields.minor ?? 0, 337, 8);
  header.write(fields.prefix ?? "", 345, 155, "latin1");
  for (const [offset, bytes] of fields.patches ?? []) bytes.copy(header, offset);
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

/** A member: header, content, padding. */
export function tarMember(fields: RawHeader, content: Buffer | string = ""): Buffer {
  const bytes = Buffer.from(content);
  const header = tarHeader({ size: bytes.length, ...fields });
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

/** A pax record with its length; keys and values are latin-1 or bytes. */
export function paxRecord(key: string, value: string | Buffer): Buffer {
  const tail = Buffer.concat([
    Buffer.from(` ${key}=`, "latin1"),
    typeof value === "string" ? Buffer.from(value, "latin1") : value,
    Buffer.from("\n"),
  ]);
  let length = tail.length + 1;
  while (String(length).length + tail.length !== length) length = String(length).length + tail.length;
  return Buffer.concat([Buffer.from(String(length)), tail]);
}

/** An `x` (or `g`) header with records. */
export function paxHeader(records: readonly (readonly [string, string | Buffer])[], type = "x"): Buffer {
  return tarMember(
    { name: "pax", type },
    Buffer.concat(records.map(([key, value]) => paxRecord(key, value))),
  );
}

/** The two zero blocks at the end of an archive. */
export const TAR_END = Buffer.alloc(1024);

/** A number in base-256 (two's complement), `width` bytes. */
export function base256(value: bigint, width: number): Buffer {
  const bytes = Buffer.alloc(width);
  let rest = BigInt.asUintN(width * 8, value);
  for (let index = width - 1; index >= 0; index--) {
    bytes[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  bytes[0] = (bytes[0] ?? 0) | 0x80;
  return bytes;
}
