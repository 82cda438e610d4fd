import { type ByteString, byteString } from "../base/bytes.ts";
import { DIRENT_SIZE, type Dirent, decodeDirent } from "../format/erofs/dirent.ts";
import { BOOTSTRAP_LIMITS } from "./bootstrap-limits.ts";
import type { CheckContext } from "./check-context.ts";

/** A name found in a directory, or the end of what can be read of one of its blocks. */
export type CheckedName =
  | { readonly kind: "name"; readonly name: ByteString; readonly dirent: Dirent }
  | {
      readonly kind: "fault";
      readonly code: "dirent-name-offset-invalid" | "dirent-nid-invalid" | "dirent-name-invalid";
      readonly message: string;
    };

/**
 * Reads the names of one directory block as far as they make sense.
 *
 * @param start First byte of the block; it lies inside the image.
 * @param length Bytes of the block that belong to the directory.
 */
export function* readDirentBlock(
  { view, bytes }: CheckContext,
  start: number,
  length: number,
): Generator<CheckedName, void, undefined> {
  const firstName = length < DIRENT_SIZE ? 0 : view.getUint16(start + 8, true);
  if (firstName < DIRENT_SIZE || firstName % DIRENT_SIZE !== 0 || firstName >= length) {
    const message = `the first name is at ${firstName} of a block of ${length} bytes`;
    yield { kind: "fault", code: "dirent-name-offset-invalid", message };
    return;
  }
  const count = firstName / DIRENT_SIZE;
  for (let index = 0; index < count; index++) {
    const offset = start + index * DIRENT_SIZE;
    const nameStart = view.getUint16(offset + 8, true);
    const nameEnd =
      index + 1 < count
        ? view.getUint16(offset + DIRENT_SIZE + 8, true)
        : lastNameEnd(bytes, start, nameStart, length);
    if (nameStart < firstName || nameEnd > length || nameEnd < nameStart) {
      const message = `name ${index} is at ${nameStart} to ${nameEnd} of a block of ${length} bytes`;
      yield { kind: "fault", code: "dirent-name-offset-invalid", message };
      return;
    }
    const name = byteString(bytes, start + nameStart, start + nameEnd);
    if (!isDirentName(name)) {
      const message = `name ${index} of ${name.length} bytes is empty, too long or holds a slash or NUL`;
      yield { kind: "fault", code: "dirent-name-invalid", message };
      continue;
    }
    try {
      yield { kind: "name", name, dirent: decodeDirent(view, offset) };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      yield { kind: "fault", code: "dirent-nid-invalid", message: error.message };
    }
  }
}

function isDirentName(name: ByteString): boolean {
  return (
    name.length > 0 &&
    name.length <= BOOTSTRAP_LIMITS.nameLength &&
    !name.includes("/") &&
    !name.includes("\0")
  );
}

/** A block that is not full is padded with zeros. */
function lastNameEnd(bytes: Uint8Array, start: number, nameStart: number, length: number): number {
  const nul = bytes.subarray(start + nameStart, start + length).indexOf(0);
  return nul === -1 ? length : nameStart + nul;
}
