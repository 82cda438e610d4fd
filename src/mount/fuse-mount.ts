import { closeSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { type ConnectionOptions, connectFuse } from "./fuse-connection.ts";
import { FuseServer, type FuseServerOptions } from "./fuse-server.ts";
import type { SessionCounts } from "./fuse-session.ts";
import type { ImageChunks } from "./image-chunks.ts";
import { findMount } from "./mount-table.ts";
import { widenReadAhead } from "./read-ahead.ts";
import { unmount, unmountAtExit } from "./unmount.ts";

/** Milliseconds that workers get to leave after an unmount. */
const LEAVE_TIMEOUT_MS = 2000;

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
      if (unmountAtExit(mountpoint)) return;
      server.closeAtExit();
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
      server = new FuseServer(fd, "tree", options);
      server.addImage(0, { name: options.name, bootstrap, chunks });
      server.answerInit();
      await server.start();
    } catch (error) {
      // Unmounting comes first: a mount that nobody answers hangs everybody who touches it.
      await unmount(mountpoint, "force").finally(() => closeSync(fd));
      throw error;
    }
    const mount = new FuseMount(mountpoint, fd, server);
    await widenReadAhead(mountpoint);
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
    // Without the addon nobody can wake them: then the connection is ended by its number, where fusectl is mounted.
    if (!(await this.#server.close(LEAVE_TIMEOUT_MS))) await this.#abort();
    await this.#server.close(LEAVE_TIMEOUT_MS);
  }

  /** Takes the mount out of the tree, if it is still there and still ours. */
  async #unmount(): Promise<void> {
    if (findMount(this.mountpoint)?.device !== this.#connection) return;
    await unmount(this.mountpoint).catch(() => unmount(this.mountpoint, "force"));
  }

  async #abort(): Promise<void> {
    const number = this.#connection?.split(":")[1];
    if (number === undefined) return;
    await writeFile(`/sys/fs/fuse/connections/${number}/abort`, "1").catch(() => undefined);
  }
}
