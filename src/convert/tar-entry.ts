import { Buffer } from "node:buffer";
import { type ByteString, byteString, byteStringOfText } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import type { LayerEntry } from "../image/layer-entry.ts";
import { checkSymlinkTarget, cleanLayerPath, quotePath } from "../image/layer-path.ts";
import type { Timestamp } from "../image/tree.ts";
import { MAX_DEVICE_MAJOR, MAX_DEVICE_MINOR, MAX_ID } from "./tar-limits.ts";
import type { TarMember } from "./tar-members.ts";
import { type PaxRecord, parsePaxInteger, parsePaxTime } from "./tar-pax.ts";
import { keepXattrs, type LayerWarning } from "./xattrs.ts";

const SCHILY_XATTR = "SCHILY.xattr.";
const LIBARCHIVE_XATTR = "LIBARCHIVE.xattr.";
const SCHILY_ACL = "SCHILY.acl.";

/**
 * Puts together what a member's headers say. A pax record wins over a GNU long name, that over the header;
 * an empty record means the header's own field.
 *
 * @throws {CodedError} ERR_LAYER_INVALID for a path, target or number that no image can have,
 *   ERR_LIMIT_EXCEEDED for too many or too large extended attributes.
 */
export function entryOfMember(member: TarMember, warn: (warning: LayerWarning) => void): LayerEntry {
  const { header, names, longName, longLink, sparse, storedSize } = member;
  const pax = new Map(member.pax.map(({ key, value }) => [key, value]));
  const find = (key: string): Uint8Array | undefined => {
    const value = pax.get(key);
    return value === undefined || value.length === 0 ? undefined : value;
  };
  const text = (key: string): ByteString | undefined => {
    const value = find(key);
    return value === undefined ? undefined : byteString(value);
  };
  const number = (key: string, otherwise: number): number => {
    const value = find(key);
    return value === undefined ? otherwise : parsePaxInteger(key, value);
  };

  const name = text("GNU.sparse.name") ?? text("path") ?? longName ?? names.name;
  const path = cleanLayerPath(name);
  const bounded = (what: string, value: number, maximum: number): number => {
    if (value >= 0 && value <= maximum) return value;
    throw new CodedError(
      "ERR_LAYER_INVALID",
      `${what} of ${quotePath(path)} is ${value}, at most ${maximum} is possible`,
    );
  };
  const mtime = find("mtime");
  const common = {
    path,
    mode: header.mode & 0o7777,
    uid: bounded("uid", number("uid", header.uid), MAX_ID),
    gid: bounded("gid", number("gid", header.gid), MAX_ID),
    mtime: mtime === undefined ? secondsOnly(header.mtime) : parsePaxTime("mtime", mtime),
    xattrs: keepXattrs(path, xattrsOfPax(member.pax), warn),
  };
  for (const key of pax.keys()) {
    if (key.startsWith(SCHILY_ACL)) warn({ kind: "acl-dropped", path, name: key });
  }

  const target = text("linkpath") ?? longLink ?? names.linkname;
  switch (header.type) {
    case "1":
      return { type: "hardlink", ...common, linkTarget: cleanLayerPath(target) };
    case "2":
      return { type: "symlink", ...common, linkTarget: checkSymlinkTarget(path, target) };
    case "3":
    case "4":
      return {
        type: header.type === "3" ? "char" : "block",
        ...common,
        major: bounded("device major", header.major, MAX_DEVICE_MAJOR),
        minor: bounded("device minor", header.minor, MAX_DEVICE_MINOR),
      };
    case "5":
      return { type: "dir", ...common };
    case "6":
      return { type: "fifo", ...common };
    default:
      // Tars older than ustar have no type for directories, but end their names with a slash.
      if (name.endsWith("/")) return { type: "dir", ...common };
      return { type: "file", ...common, size: sparse?.size ?? storedSize, chunks: [] };
  }
}

function secondsOnly(seconds: number): Timestamp {
  return { seconds, nanoseconds: 0 };
}

/** Extended attributes of both dialects; where they name the same one, the raw form (SCHILY) counts. */
function* xattrsOfPax(records: readonly PaxRecord[]): Generator<readonly [ByteString, Uint8Array]> {
  for (const { key, value } of records) {
    if (!key.startsWith(LIBARCHIVE_XATTR)) continue;
    const bytes = Buffer.from(byteString(value), "base64");
    yield [percentDecoded(key.slice(LIBARCHIVE_XATTR.length)), new Uint8Array(bytes)];
  }
  for (const { key, value } of records) {
    if (key.startsWith(SCHILY_XATTR)) yield [key.slice(SCHILY_XATTR.length), value];
  }
}

function percentDecoded(name: ByteString): ByteString {
  return name.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

/** Files of eStargz's own in the root of a layer: no part of the image. */
const ESTARGZ_PATHS = ["stargz.index.json", ".prefetch.landmark", ".no.prefetch.landmark"].map(
  byteStringOfText,
);

/** True for the bookkeeping files that an eStargz layer carries in its root. */
export function isEstargzPath(path: ByteString): boolean {
  return ESTARGZ_PATHS.includes(path);
}
