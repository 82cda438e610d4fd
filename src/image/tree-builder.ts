import type { ByteString } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import type { EntryAttributes, LayerEntry } from "./layer-entry.ts";
import { nameOf, parentOf, quotePath } from "./layer-path.ts";
import type { Attributes, Directory, Inode } from "./tree.ts";

/** An inode that is not a directory, shared by every name that links to it. */
interface LeafSlot {
  readonly kind: "leaf";
  inode: Exclude<Inode, Directory>;
}

interface DirectorySlot {
  readonly kind: "dir";
  attributes: Attributes;
  readonly children: Map<ByteString, Slot>;
}

type Slot = LeafSlot | DirectorySlot;

/** Of the root and of directories that no entry describes. */
const IMPLIED: Attributes = {
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  xattrs: new Map(),
};

/** Linux shows every symlink with this mode, whatever its header says. */
const SYMLINK_MODE = 0o777;

/**
 * A filesystem tree that changes name by name. It knows nothing of whiteouts: overlay.ts does. Inodes
 * are replaced, never changed, so a tree that was built stays as it was.
 */
export class TreeBuilder {
  readonly #root: DirectorySlot = directorySlot(IMPLIED);
  /** Names of this layer. */
  readonly #placed = new Set<ByteString>();
  /** What this layer's whiteouts took away: its hard links may still name it. */
  readonly #removed = new Map<ByteString, Slot>();

  /** Everything so far becomes *lower*; what follows is the next layer. */
  startLayer(): void {
    this.#placed.clear();
    this.#removed.clear();
  }

  /** Takes away `path` with everything in it. Nothing happens when it does not exist. */
  remove(path: ByteString): void {
    const parent = this.#find(parentOf(path));
    const slot = parent?.kind === "dir" ? parent.children.get(nameOf(path)) : undefined;
    if (parent?.kind !== "dir" || slot === undefined) return;
    this.#removed.set(path, slot);
    parent.children.delete(nameOf(path));
  }

  /** Takes away everything in the directory `path`. Nothing happens when there is no such directory. */
  clear(path: ByteString): void {
    const directory = this.#find(path);
    if (directory?.kind !== "dir") return;
    for (const [name, slot] of directory.children) {
      this.#removed.set(path === "" ? name : `${path}/${name}`, slot);
    }
    directory.children.clear();
  }

  /** True when a hard link to `path` can be made now. */
  canLink(path: ByteString): boolean {
    return this.#findTarget(path)?.kind === "leaf";
  }

  /**
   * Puts an entry at its path, replacing what is there; only a directory over a directory keeps the
   * children. Parents that do not exist are made (0755, 0:0, mtime 0).
   *
   * @throws {CodedError} ERR_LAYER_INVALID for a root that is not a directory, an entry inside what the
   *   same layer says is no directory, or a hard link to something missing, a directory, or inside what
   *   it replaces.
   */
  put(entry: LayerEntry): void {
    if (entry.path === "") {
      if (entry.type !== "dir") {
        throw new CodedError(
          "ERR_LAYER_INVALID",
          `the root of the layer is a ${entry.type}, not a directory`,
        );
      }
      this.#root.attributes = attributesOf(entry);
      return;
    }
    const parent = this.#makeDirectory(parentOf(entry.path), entry.path);
    const name = nameOf(entry.path);
    const found = parent.children.get(name);
    if (entry.type === "dir" && found?.kind === "dir") found.attributes = attributesOf(entry);
    else parent.children.set(name, this.#makeSlot(entry));
    this.#placed.add(entry.path);
  }

  /** The tree as it stands, of objects that later changes do not touch. */
  build(): Directory {
    return buildDirectory(this.#root);
  }

  #makeSlot(entry: LayerEntry): Slot {
    if (entry.type === "dir") return directorySlot(attributesOf(entry));
    if (entry.type !== "hardlink") return { kind: "leaf", inode: inodeOf(entry) };
    const target = entry.linkTarget;
    const slot = this.#findTarget(target);
    if (slot?.kind !== "leaf" || target === entry.path || target.startsWith(`${entry.path}/`)) {
      const what =
        slot === undefined ? "missing" : slot.kind === "dir" ? "a directory" : "replaced by the link";
      throw new CodedError(
        "ERR_LAYER_INVALID",
        `hard link ${quotePath(entry.path)} to ${quotePath(target)}: the target is ${what}`,
      );
    }
    slot.inode = linkedInode(slot.inode, entry);
    return slot;
  }

  #makeDirectory(path: ByteString, forPath: ByteString): DirectorySlot {
    let directory = this.#root;
    let end = 0;
    for (const name of path === "" ? [] : path.split("/")) {
      end += (end === 0 ? 0 : 1) + name.length;
      let next = directory.children.get(name);
      if (next?.kind === "leaf" && this.#placed.has(path.slice(0, end))) {
        throw new CodedError(
          "ERR_LAYER_INVALID",
          `${quotePath(forPath)} lies in ${quotePath(path.slice(0, end))}, which is a ${next.inode.type} of the same layer`,
        );
      }
      if (next?.kind !== "dir") {
        next = directorySlot(IMPLIED);
        directory.children.set(name, next);
      }
      directory = next;
    }
    return directory;
  }

  #find(path: ByteString): Slot | undefined {
    return path === "" ? this.#root : descend(this.#root, path.split("/"));
  }

  #findTarget(path: ByteString): Slot | undefined {
    const found = this.#find(path);
    if (found !== undefined || this.#removed.size === 0) return found;
    const names = path.split("/");
    for (let depth = names.length; depth > 0; depth--) {
      const top = this.#removed.get(names.slice(0, depth).join("/"));
      const slot = top === undefined ? undefined : descend(top, names.slice(depth));
      if (slot !== undefined) return slot;
    }
    return undefined;
  }
}

function descend(top: Slot, names: readonly ByteString[]): Slot | undefined {
  let slot: Slot | undefined = top;
  for (const name of names) {
    if (slot?.kind !== "dir") return undefined;
    slot = slot.children.get(name);
  }
  return slot;
}

function directorySlot(attributes: Attributes): DirectorySlot {
  return { kind: "dir", attributes, children: new Map() };
}

function attributesOf({ mode, uid, gid, mtime, xattrs }: EntryAttributes): Attributes {
  return { mode, uid, gid, mtime, xattrs };
}

function inodeOf(entry: Exclude<LayerEntry, { type: "dir" | "hardlink" }>): Exclude<Inode, Directory> {
  const attributes = attributesOf(entry);
  switch (entry.type) {
    case "file":
      return { type: "file", ...attributes, size: entry.size, chunks: entry.chunks };
    case "symlink":
      return { type: "symlink", ...attributes, mode: SYMLINK_MODE, target: entry.linkTarget };
    case "char":
    case "block":
      return { type: entry.type, ...attributes, major: entry.major, minor: entry.minor };
    default:
      return { type: entry.type, ...attributes };
  }
}

/**
 * The inode after a further name was linked to it. Like containerd's unpacker, which runs lchown, lsetxattr,
 * chmod and utimensat on the new name: the header's owner, mode and mtime win, its xattrs are added.
 */
function linkedInode(inode: Exclude<Inode, Directory>, link: EntryAttributes): Exclude<Inode, Directory> {
  return {
    ...inode,
    ...attributesOf(link),
    mode: inode.type === "symlink" ? SYMLINK_MODE : link.mode,
    xattrs: link.xattrs.size === 0 ? inode.xattrs : new Map([...inode.xattrs, ...link.xattrs]),
  };
}

function buildDirectory(slot: DirectorySlot): Directory {
  const children = new Map<ByteString, Inode>();
  // Depth is bounded by the length of a path, so recursion is safe.
  for (const [name, child] of slot.children) {
    children.set(name, child.kind === "dir" ? buildDirectory(child) : child.inode);
  }
  return { type: "dir", ...slot.attributes, children };
}
