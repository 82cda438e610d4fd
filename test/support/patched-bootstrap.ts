import { viewOf } from "#src/base/bytes.js";
import { INODE_LAYOUT } from "#src/format/erofs/inode.js";
import { BootstrapView, type InodeRecord } from "#src/image/bootstrap-view.js";
import { goldenBootstrap } from "./golden-blobs.ts";

/** Byte offsets of the fixed parts of a v6 bootstrap. */
export const AT = { superblock: 1024, extended: 1152, devices: 1408 } as const;

/** A copy of a golden bootstrap, with the places tests change in it: of v6 by path. */
export class PatchedBootstrap {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #original: Uint8Array;
  #opened: BootstrapView | undefined;

  /** @param name A folder of fixtures/golden. */
  constructor(name: string) {
    this.#original = goldenBootstrap(name).bytes;
    this.bytes = new Uint8Array(this.#original);
    this.view = viewOf(this.bytes);
  }

  get #tree(): BootstrapView {
    this.#opened ??= new BootstrapView(this.#original, { allowUnsupported: true });
    return this.#opened;
  }

  get blobTable(): number {
    return Number(this.view.getBigUint64(AT.extended + 8, true));
  }

  get chunkTable(): number {
    return Number(this.view.getBigUint64(AT.extended + 24, true));
  }

  get prefetchTable(): number {
    return Number(this.view.getBigUint64(AT.extended + 40, true));
  }

  /** Where the inode of an absolute path starts, and its body. */
  inode(path: string): InodeRecord {
    let inode = this.#tree.inode(this.#tree.rootNid);
    for (const name of path.split("/").filter((part) => part !== "")) {
      const nid = this.#tree.lookup(inode, name);
      if (nid === undefined) throw new Error(`no ${name} of ${path}`);
      inode = this.#tree.inode(nid);
    }
    return inode;
  }

  /** Where the chunk array of a regular file starts. */
  chunkArray(path: string): number {
    return Math.ceil(this.inode(path).bodyOffset / 8) * 8;
  }

  /** Where the only block of a small directory starts. */
  direntBlock(path: string): number {
    const inode = this.inode(path);
    return inode.layout === INODE_LAYOUT.INLINE ? inode.bodyOffset : inode.union * this.#tree.blockSize;
  }

  /** Where the dirent of `name` in a small directory starts. */
  dirent(path: string, name: string): number {
    const names = [...this.#tree.entries(this.inode(path))].map((found) => found.name);
    return this.direntBlock(path) + names.indexOf(name) * 12;
  }

  u8(offset: number, value: number): void {
    this.view.setUint8(offset, value);
  }

  u16(offset: number, value: number): void {
    this.view.setUint16(offset, value, true);
  }

  u32(offset: number, value: number): void {
    this.view.setUint32(offset, value, true);
  }

  u64(offset: number, value: number): void {
    this.view.setBigUint64(offset, BigInt(value), true);
  }

  text(offset: number, text: string): void {
    this.bytes.set(new TextEncoder().encode(text), offset);
  }
}
