import type { ByteString } from "../base/bytes.ts";
import { encodePaxEntry, type PaxEntry, TAR_END, tarPadding } from "../format/tar/pax-entry.ts";
import { type Inode, listTree } from "../image/tree.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import { openChunkReader } from "./list-image.ts";
import type { NydusImage } from "./nydus-image.ts";
import type { UnpackLosses } from "./unpack-losses.ts";

/**
 * The tree of an image as a pax tar: sorted by path, times to the nanosecond, extended attributes, hard
 * links. The same image gives the same bytes.
 *
 * @param losses Told of sockets, which no tar can hold.
 * @throws {CodedError} as {@link NydusImage.loadBlobs} and {@link ChunkReader.readFile}.
 */
export async function* unpackTar(
  image: NydusImage,
  losses: UnpackLosses,
  options: ReadOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = await openChunkReader(image, options);
  const firstPaths = new Map<Inode, ByteString>();
  for (const { path, inode } of listTree(image.bootstrap.root)) {
    const name = inode.type === "dir" ? `${path}/` : path;
    const first = firstPaths.get(inode);
    if (inode.type === "socket") {
      losses.add("socket", path);
      continue;
    }
    if (first !== undefined) {
      yield encodePaxEntry({ ...entryOf(name, inode), type: "hardlink", target: first, size: 0 });
    } else {
      firstPaths.set(inode, path);
      const entry = entryOf(name, inode);
      yield encodePaxEntry(entry);
      if (inode.type !== "file") continue;
      yield* reader.readFile(inode, options);
      yield tarPadding(inode.size);
    }
  }
  yield TAR_END;
}

function entryOf(path: ByteString, inode: Inode): PaxEntry {
  const { mode, uid, gid, mtime, xattrs } = inode;
  return {
    path,
    // Sockets are left out before.
    type: inode.type === "socket" ? "fifo" : inode.type,
    mode,
    uid,
    gid,
    mtime,
    xattrs,
    size: inode.type === "file" ? inode.size : 0,
    ...(inode.type === "symlink" && { target: inode.target }),
    ...((inode.type === "char" || inode.type === "block") && {
      device: { major: inode.major, minor: inode.minor },
    }),
  };
}
