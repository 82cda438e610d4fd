import { posix } from "node:path";
import { byteString } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { readStored, type StoredFile } from "./stored-file.ts";
import { decodeTarHeader, isZeroRecord, TAR_RECORD_SIZE, type TarHeader } from "./tar-header.ts";

/** Members of an archive that are indexed. An image has a few for each layer. */
const MAX_MEMBERS = 65_536;
/** Bytes of one extended header (a long name or pax records). */
const MAX_EXTENDED_SIZE = 64 * 1024;
/** Links that are followed from one name to its bytes. */
const MAX_LINKS = 8;

/** What lies under one name of an archive. */
type Member =
  | { readonly kind: "file"; readonly offset: number; readonly size: number }
  | { readonly kind: "link"; readonly target: string };

/** Where the files of a tar archive lie in it, found by reading its headers only. */
export class TarIndex {
  readonly #file: StoredFile;
  readonly #members: ReadonlyMap<string, Member>;

  private constructor(file: StoredFile, members: ReadonlyMap<string, Member>) {
    this.#file = file;
    this.#members = members;
  }

  /**
   * Reads the headers of an archive.
   *
   * @throws {CodedError} ERR_FEATURE_UNSUPPORTED when the archive is compressed, ERR_ARCHIVE_CORRUPT when
   *   it is no tar or ends in the middle of a member, ERR_LIMIT_EXCEEDED.
   */
  static async read(file: StoredFile, what: string): Promise<TarIndex> {
    await refuseCompressed(file, what);
    const members = new Map<string, Member>();
    let extended: Extended = {};
    for (let offset = 0; offset + TAR_RECORD_SIZE <= file.size; ) {
      const record = await readStored(file, offset, TAR_RECORD_SIZE, what, "ERR_ARCHIVE_CORRUPT");
      if (isZeroRecord(record)) return new TarIndex(file, members);
      const header = decodeTarHeader(record, `${what} at byte ${offset}`);
      const size = header.hasBody ? (extended.size ?? header.size) : 0;
      const start = offset + TAR_RECORD_SIZE;
      if (start + size > file.size) {
        throw new CodedError(
          "ERR_ARCHIVE_CORRUPT",
          `${what} ends at ${file.size}, inside the member at ${offset}`,
        );
      }
      offset = start + Math.ceil(size / TAR_RECORD_SIZE) * TAR_RECORD_SIZE;
      if ("LKxg".includes(header.type)) {
        extended = await readExtended(file, header.type, start, size, extended, what);
        continue;
      }
      addMember(members, header, extended, start, size, what);
      extended = {};
    }
    // Some writers leave out the closing zeros; an empty file is no archive.
    if (members.size === 0) throw new CodedError("ERR_ARCHIVE_CORRUPT", `${what} is no tar archive`);
    return new TarIndex(file, members);
  }

  /**
   * The file of a name, links followed inside the archive; `undefined` when there is none.
   *
   * @throws {CodedError} ERR_ARCHIVE_CORRUPT for links in a circle.
   */
  find(path: string): StoredFile | undefined {
    let name = normalized(path);
    for (let links = 0; links <= MAX_LINKS; links++) {
      const member = this.#members.get(name);
      if (member === undefined) return undefined;
      if (member.kind === "file") {
        return { handle: this.#file.handle, offset: this.#file.offset + member.offset, size: member.size };
      }
      name = member.target;
    }
    throw new CodedError(
      "ERR_ARCHIVE_CORRUPT",
      `${JSON.stringify(path)} is a link through over ${MAX_LINKS} links`,
    );
  }
}

interface Extended {
  readonly name?: string;
  readonly target?: string;
  readonly size?: number;
}

function addMember(
  members: Map<string, Member>,
  header: TarHeader,
  extended: Extended,
  offset: number,
  size: number,
  what: string,
): void {
  if (members.size >= MAX_MEMBERS) {
    throw new CodedError("ERR_LIMIT_EXCEEDED", `${what} has over ${MAX_MEMBERS} members`);
  }
  const name = normalized(extended.name ?? header.name);
  const target = extended.target ?? header.target;
  if (header.type === "0" || header.type === "\0" || header.type === "7") {
    members.set(name, { kind: "file", offset, size });
  } else if (header.type === "1") members.set(name, { kind: "link", target: normalized(target) });
  else if (header.type === "2") {
    members.set(name, { kind: "link", target: normalized(posix.join(posix.dirname(name), target)) });
  }
}

async function readExtended(
  file: StoredFile,
  type: string,
  offset: number,
  size: number,
  extended: Extended,
  what: string,
): Promise<Extended> {
  // Global records set defaults that no writer of images uses for names or sizes.
  if (type === "g") return extended;
  if (size > MAX_EXTENDED_SIZE) {
    throw new CodedError("ERR_LIMIT_EXCEEDED", `${what} has an extended header of ${size} bytes`);
  }
  const bytes = await readStored(file, offset, size, what, "ERR_ARCHIVE_CORRUPT");
  if (type === "x") return { ...extended, ...readPax(bytes, what) };
  const text = byteString(bytes).replace(/\0.*$/s, "");
  return type === "L" ? { ...extended, name: text } : { ...extended, target: text };
}

/** Reads pax records: `LENGTH KEY=VALUE\n`, the length counting itself. @see POSIX pax, 4.18 */
function readPax(bytes: Uint8Array, what: string): Extended {
  const found: { name?: string; target?: string; size?: number } = {};
  const text = byteString(bytes);
  for (let position = 0; position < text.length; ) {
    const match = /^(\d{1,6}) ([^=\n]+)=/.exec(text.slice(position, position + 1024));
    const length = Number(match?.[1]);
    if (match === null || length <= match[0].length || position + length > text.length) {
      throw new CodedError("ERR_ARCHIVE_CORRUPT", `${what} has a broken pax header`);
    }
    const value = text.slice(position + match[0].length, position + length - 1);
    if (match[2] === "path") found.name = value;
    else if (match[2] === "linkpath") found.target = value;
    else if (match[2] === "size") {
      if (!/^\d{1,15}$/.test(value))
        throw new CodedError("ERR_ARCHIVE_CORRUPT", `${what} has a pax size ${value}`);
      found.size = Number(value);
    }
    position += length;
  }
  return found;
}

/** Names as keys: without `./`, `..` that leave the archive, and slashes at either end. */
function normalized(path: string): string {
  return posix.normalize(`/${path}`).replace(/^\/+|\/+$/g, "");
}

const MAGICS: readonly (readonly [string, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ["bzip2", [0x42, 0x5a, 0x68]],
];

// Random access needs the plain archive: decompress it once, outside.
async function refuseCompressed(file: StoredFile, what: string): Promise<void> {
  const head = await readStored(file, 0, Math.min(8, file.size), what, "ERR_ARCHIVE_CORRUPT");
  const found = MAGICS.find(([, magic]) => magic.every((byte, index) => head[index] === byte));
  if (found !== undefined) {
    throw new CodedError(
      "ERR_FEATURE_UNSUPPORTED",
      `${what} is compressed with ${found[0]}; only plain archives are read`,
    );
  }
}
