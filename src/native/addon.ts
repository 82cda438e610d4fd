import { createRequire } from "node:module";
import { CodedError } from "../base/errors.ts";
import { type Isal, type IsalExports, loadIsal } from "./isal.ts";
import { type Lz4, type Lz4Exports, loadLz4 } from "./lz4.ts";
import { type MountCalls, type MountExports, mountCalls } from "./mounts.ts";
import { type ProcessCalls, type ProcessExports, processCalls } from "./processes.ts";

/** A path, name or value as bytes; a string stands for its UTF-8 form. */
export type Bytes = Uint8Array | string;

/** What a failed call throws, or rejects with: shaped as Node.js' own errors. */
export interface SystemError extends Error {
  /** Name of the errno, `EUNKNOWN` for rare ones. */
  readonly code: string;
  /** Negative. */
  readonly errno: number;
  /** The system call. */
  readonly syscall: string;
}

/**
 * System calls that Node.js lacks, and libraries that are faster than its own. The promises settle when the call returned; it runs off the JavaScript
 * thread. The rest is synchronous: never on a path inside a mount that this thread answers.
 */
export interface Addon extends MountCalls, ProcessCalls {
  /** Two connected stream sockets. Both are the caller's to close; neither is inherited by children. */
  socketpair(): [number, number];
  /**
   * Waits for a message with one file descriptor (SCM_RIGHTS). The descriptor is the caller's to close.
   *
   * Fails with ETIMEDOUT after `timeoutMs`, ENOTCONN when the other side closed, EPROTO when the message holds none.
   */
  receiveFd(socket: number, timeoutMs: number): Promise<number>;
  /** Value of an extended attribute; symbolic links are not followed. */
  lgetxattr(path: Bytes, name: Bytes): Uint8Array;
  /** Names of the extended attributes; symbolic links are not followed. */
  llistxattr(path: Bytes): Uint8Array[];
  /** Sets an extended attribute; symbolic links are not followed. */
  lsetxattr(path: Bytes, name: Bytes, value: Uint8Array): void;
  /** Sets both times; symbolic links are not followed. Nanoseconds count forward from the seconds. */
  lutimens(path: Bytes, access: Time, modification: Time): void;
  /** mknod(2). `mode` holds the type bits; the umask applies. */
  mknod(path: Bytes, mode: number, major: number, minor: number): void;
  /** Intel's ISA-L, where it is installed (Debian: libisal2). Loaded at the first call. */
  isal(): Isal | undefined;
  /** liblz4, where it is installed (Debian: liblz4-1). Loaded at the first call. */
  lz4(): Lz4 | undefined;
}

/** A point in time since 1970. */
export interface Time {
  readonly seconds: number;
  /** 0 to 999,999,999. */
  readonly nanoseconds: number;
}

/** The functions of addon.cc. */
interface Exports extends MountExports, ProcessExports, IsalExports, Lz4Exports {
  socketpair(): [number, number];
  receiveFd(socket: number, timeoutMs: number): Promise<number>;
  lgetxattr(path: Uint8Array, name: Uint8Array): Uint8Array;
  llistxattr(path: Uint8Array): Uint8Array;
  lsetxattr(path: Uint8Array, name: Uint8Array, value: Uint8Array): void;
  lutimens(
    path: Uint8Array,
    accessSeconds: number,
    accessNanoseconds: number,
    modificationSeconds: number,
    modificationNanoseconds: number,
  ): void;
  mknod(path: Uint8Array, mode: number, major: number, minor: number): void;
}

const utf8 = new TextEncoder();

function bytes(text: Bytes): Uint8Array {
  return typeof text === "string" ? utf8.encode(text) : text;
}

function splitNames(list: Uint8Array): Uint8Array[] {
  const names: Uint8Array[] = [];
  for (let start = 0; start < list.length; ) {
    const end = list.indexOf(0, start);
    const stop = end < 0 ? list.length : end;
    names.push(list.slice(start, stop));
    start = stop + 1;
  }
  return names;
}

function wrap(native: Exports): Addon {
  let isal: { readonly library: Isal | undefined } | undefined;
  let lz4: { readonly library: Lz4 | undefined } | undefined;
  return {
    ...mountCalls(native, bytes),
    ...processCalls(native),
    socketpair: () => native.socketpair(),
    receiveFd: (socket, timeoutMs) => native.receiveFd(socket, timeoutMs),
    lgetxattr: (path, name) => native.lgetxattr(bytes(path), bytes(name)),
    llistxattr: (path) => splitNames(native.llistxattr(bytes(path))),
    lsetxattr: (path, name, value) => native.lsetxattr(bytes(path), bytes(name), value),
    lutimens: (path, access, modification) =>
      native.lutimens(
        bytes(path),
        access.seconds,
        access.nanoseconds,
        modification.seconds,
        modification.nanoseconds,
      ),
    mknod: (path, mode, major, minor) => native.mknod(bytes(path), mode, major, minor),
    isal() {
      isal ??= { library: loadIsal(native) };
      return isal.library;
    },
    lz4() {
      lz4 ??= { library: loadLz4(native) };
      return lz4.library;
    },
  };
}

// A build of this checkout wins over the one a published package carries.
const PLACES = [
  "../../native/build/Release/addon.node",
  `../../native/prebuilds/${process.platform}-${process.arch}/addon.node`,
];

type Loaded = { readonly addon: Addon; readonly file: string } | { readonly reason: string };

function load(): Loaded {
  const require = createRequire(import.meta.url);
  const reasons: string[] = [];
  for (const place of PLACES) {
    try {
      return { addon: wrap(require(place) as Exports), file: require.resolve(place) };
    } catch (error) {
      // "Not there" is the usual case; a file that does not load (other libc, other processor) is worth telling.
      if ((error as { code?: string }).code !== "MODULE_NOT_FOUND") reasons.push((error as Error).message);
    }
  }
  return { reason: reasons.join("; ") || "it is not built (npm run build:native)" };
}

let loaded: Loaded | undefined;

/** The native addon, or `undefined` where it is neither built nor shipped. Loaded at the first call. */
export function addon(): Addon | undefined {
  loaded ??= load();
  return "addon" in loaded ? loaded.addon : undefined;
}

/**
 * The native addon.
 *
 * @param what What needs it, for the message: `mounting EROFS`.
 * @throws {CodedError} ERR_ADDON_MISSING.
 */
export function requireAddon(what: string): Addon {
  loaded ??= load();
  if ("addon" in loaded) return loaded.addon;
  throw new CodedError("ERR_ADDON_MISSING", `${what} needs the native addon: ${loaded.reason}`);
}

/** The file that the addon was loaded from, or why there is none. */
export function addonStatus(): { readonly file?: string; readonly reason?: string } {
  loaded ??= load();
  return "addon" in loaded ? { file: loaded.file } : { reason: loaded.reason };
}
