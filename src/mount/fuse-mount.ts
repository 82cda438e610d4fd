import { closeSync } from "node:fs";
import { open, stat, writeFile } from "node:fs/promises";
import { type ConnectionOptions, connectFuse } from "./fuse-connection.ts";
import { MAX_READ } from "./fuse-handler.ts";
import { FuseServer, type FuseServerOptions } from "./fuse-server.ts";
import type { SessionCounts } from "./fuse-session.ts";
import type { ImageChunks } from "./image-chunks.ts";
import { findMount } from "./mount-table.ts";
import { unmount, unmountAtExit } from "./unmount.ts";

/** Milliseconds that workers get to leave after an unmount before they are woken by force. */
const LEAVE_TIMEOUT_MS = 1000;

/** Rounds of waking before the workers are left to the end of the process. */
const MAX_WAKE_ROUNDS = 5;

export interface FuseMountOptions extends FuseServerOptions, ConnectionOptions {}

/** One image mounted by the `fuse` engine. */
export class FuseMount {
  readonly mountpoint: string;
  /** Resolves when the mount is gone and nobody serves it any more, whoever unmounted it. */
  readonly ended: Promise<void>;
  readonly #server: FuseServer;
  readonly #connection: string | undefined;
  #closing: Promise<void> | undefined;

  private constructor(mountpoint: string, fd: number, server: FuseServer) {
    this.mountpoint = mountpoint;
    this.#server = server;
    this.#connection = findMount(mountpoint)?.device;
    // An exit (an uncaught error, say) would stop the workers one by one in the middle of their requests, whose
    // readers then hang, and would itself wait for the workers that sit in read(2).
    const atExit = (): void => {
      if (!unmountAtExit(mountpoint)) process.kill(process.pid, "SIGKILL");
    };
    process.once("exit", atExit);
    this.ended = server.ended.then(() => {
      process.off("exit", atExit);
      closeSync(fd);
    });
  }

  /**
   * Mounts a v6 bootstrap.
   *
   * @param mountpoint An absolute path of an existing directory, without symbolic links.
   * @param bootstrap In a SharedArrayBuffer; must not change any more.
   * @throws {CodedError} as connectFuse; ERR_BOOTSTRAP_CORRUPT, ERR_FEATURE_UNSUPPORTED.
   */
  static async open(
    mountpoint: string,
    bootstrap: Uint8Array,
    chunks: ImageChunks,
    options: FuseMountOptions,
  ): Promise<FuseMount> {
    const fd = await connectFuse(mountpoint, options);
    let server: FuseServer;
    try {
      server = new FuseServer(fd, bootstrap, chunks, options);
      await server.start();
    } catch (error) {
      // Unmounting comes first: a mount that nobody answers hangs everybody who touches it.
      await unmount(mountpoint, "force").finally(() => closeSync(fd));
      throw error;
    }
    const mount = new FuseMount(mountpoint, fd, server);
    await mount.#widenReadahead();
    return mount;
  }

  /** What the workers did so far. */
  counts(): SessionCounts {
    return this.#server.counts();
  }

  /** True while somebody answers. */
  get isServed(): boolean {
    return this.#server.running > 0;
  }

  /**
   * Unmounts. A mount in use is taken out of the tree, and who still reads gets errors: this never waits for them.
   *
   * @throws {CodedError} ERR_MOUNT_FAILED when the mount cannot be removed; it is served on then.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.isServed) await this.#unmount();
    this.#server.close();
    for (let round = 0; round < MAX_WAKE_ROUNDS; round++) {
      if (await this.#hasEnded(LEAVE_TIMEOUT_MS)) return;
      await this.#abort();
    }
  }

  /** Takes the mount out of the tree, if it is still there and still ours. */
  async #unmount(): Promise<void> {
    if (findMount(this.mountpoint)?.device !== this.#connection) return;
    const isUser = process.getuid?.() !== 0;
    try {
      await unmount(this.mountpoint);
    } catch {
      // In use. A user's detached mount cannot be forced to end, but its workers can be woken through an open directory.
      if (isUser) await this.#detachAsUser();
      else await unmount(this.mountpoint, "force");
    }
  }

  /**
   * Without root there is no umount2(MNT_FORCE): the workers sit in read(2) until the last user leaves. So a directory
   * is kept open across the unmount, and names that do not exist are asked for in it until every worker has left.
   */
  async #detachAsUser(): Promise<void> {
    const root = await open(this.mountpoint, "r");
    try {
      await unmount(this.mountpoint, "force");
      this.#server.close();
      for (let name = 0; name < 1000 && this.isServed; name++) {
        // Each name once: the kernel remembers that it does not exist.
        const lookup = stat(`/proc/self/fd/${root.fd}/.leave-${name}`).catch(() => undefined);
        await Promise.race([lookup, this.#hasEnded(LEAVE_TIMEOUT_MS)]);
      }
    } finally {
      // Closing may ask the filesystem, which nobody answers now.
      void root.close().catch(() => undefined);
    }
  }

  /** Ends the connection by its number; works where fusectl is mounted. */
  async #abort(): Promise<void> {
    const number = this.#connection?.split(":")[1];
    if (number === undefined) return;
    await writeFile(`/sys/fs/fuse/connections/${number}/abort`, "1").catch(() => undefined);
  }

  async #hasEnded(timeoutMs: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, false);
    });
    const ended = this.ended.then(() => true);
    return Promise.race([ended, late]).finally(() => clearTimeout(timer));
  }

  /** Lets the kernel read ahead in requests of the largest size (128 KiB is its default); root only, best effort. */
  async #widenReadahead(): Promise<void> {
    if (this.#connection === undefined || process.getuid?.() !== 0) return;
    const file = `/sys/class/bdi/${this.#connection}/read_ahead_kb`;
    await writeFile(file, String(MAX_READ / 1024)).catch(() => undefined);
  }
}
