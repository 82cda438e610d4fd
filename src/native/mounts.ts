import type { Bytes } from "./addon.ts";

/** System calls around mounts. The promises settle when the call returned; it runs off the JavaScript thread. */
export interface MountCalls {
  /** mount(2). `flags` are the kernel's MS_ bits; `options` hold at most 4095 bytes. */
  mount(source: Bytes, target: Bytes, type: Bytes, flags: number, options: Bytes): Promise<void>;
  /**
   * Mounts by fsopen(2), fsconfig(2), fsmount(2) and move_mount(2), which take options of any number and length.
   * What the kernel says against them is in the message.
   *
   * @param options Keys and values, in order; a value of `true` is for keys without one.
   * @param attributes Bits of MOUNT_ATTRIBUTES.
   */
  mountConfigured(
    type: string,
    options: readonly (readonly [key: string, value: string | true])[],
    target: Bytes,
    attributes: number,
  ): Promise<void>;
  /** umount2(2). */
  umount2(target: Bytes, flags: number): Promise<void>;
  /**
   * Puts a read-only loop device, with direct I/O, under a file. It goes with its last user: the caller closes `fd` once
   * the device is mounted.
   */
  attachLoop(file: Bytes): Promise<{ readonly path: string; readonly fd: number }>;
  /** Takes whole clean pages of a file out of the page cache: posix_fadvise(2), POSIX_FADV_DONTNEED. Never fails. */
  dropCached(fd: number, offset: number, length: number): void;
  /** gettid(2), for {@link MountCalls.wakeThread}. */
  threadId(): number;
  /**
   * Ends a read(2) or the like, in which another thread of this process waits, with EINTR. A thread that does not wait
   * yet will not notice: repeat it. The thread must have called {@link MountCalls.threadId}.
   */
  wakeThread(threadId: number): void;
}

/** The functions of mounts.cc. */
export interface MountExports {
  mount(
    source: Uint8Array,
    target: Uint8Array,
    type: Uint8Array,
    flags: number,
    options: Uint8Array,
  ): Promise<void>;
  mountConfigured(
    type: Uint8Array,
    options: Uint8Array,
    target: Uint8Array,
    attributes: number,
  ): Promise<void>;
  umount2(target: Uint8Array, flags: number): Promise<void>;
  attachLoop(file: Uint8Array): Promise<[number: number, fd: number]>;
  dropCached(fd: number, offset: number, length: number): void;
  threadId(): number;
  wakeThread(threadId: number): void;
}

/** Gives the functions of mounts.cc their types. */
export function mountCalls(native: MountExports, bytes: (text: Bytes) => Uint8Array): MountCalls {
  return {
    mount: (source, target, type, flags, options) =>
      native.mount(bytes(source), bytes(target), bytes(type), flags, bytes(options)),
    mountConfigured(type, options, target, attributes) {
      const strings = options.flatMap(([key, value]) => [key, value === true ? "" : value]);
      if (strings.some((text) => text.includes("\0"))) throw new TypeError("an option holds a zero byte");
      const packed = bytes(strings.map((text) => `${text}\0`).join(""));
      return native.mountConfigured(bytes(type), packed, bytes(target), attributes);
    },
    umount2: (target, flags) => native.umount2(bytes(target), flags),
    async attachLoop(file) {
      const [number, fd] = await native.attachLoop(bytes(file));
      return { path: `/dev/loop${number}`, fd };
    },
    dropCached: native.dropCached,
    threadId: native.threadId,
    wakeThread: native.wakeThread,
  };
}
