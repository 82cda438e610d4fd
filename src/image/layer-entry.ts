import type { ByteString } from "../base/bytes.ts";
import type { Chunk } from "./chunk.ts";
import type { Attributes } from "./tree.ts";

/** What every entry of a layer has, whatever container it came in. */
export interface EntryAttributes extends Attributes {
  /** Clean and relative (see layer-path.ts); "" is the root. */
  readonly path: ByteString;
}

export interface FileEntry extends EntryAttributes {
  readonly type: "file";
  /** Bytes of content, holes of sparse files included. */
  readonly size: number;
  /** Empty until the content was cut into chunks. */
  readonly chunks: readonly Chunk[];
}

export interface DirectoryEntry extends EntryAttributes {
  readonly type: "dir";
}

export interface SymlinkEntry extends EntryAttributes {
  readonly type: "symlink";
  /** The target as it stands, never cleaned. */
  readonly linkTarget: ByteString;
}

export interface DeviceEntry extends EntryAttributes {
  readonly type: "char" | "block";
  readonly major: number;
  readonly minor: number;
}

export interface SpecialEntry extends EntryAttributes {
  readonly type: "fifo" | "socket";
}

/** A second name for what stands at `linkTarget`. Its attributes become those of that inode. */
export interface HardLinkEntry extends EntryAttributes {
  readonly type: "hardlink";
  /** Clean path from the root of the image. */
  readonly linkTarget: ByteString;
}

/** One name of a layer: what a tar header, or an lstat of a source directory, says. */
export type LayerEntry =
  | FileEntry
  | DirectoryEntry
  | SymlinkEntry
  | DeviceEntry
  | SpecialEntry
  | HardLinkEntry;
