import { CodedError } from "../base/errors.ts";

/** What is used of the package: it is optional, and the build must do without its types. */
interface ZstdBinding {
  versionString(): string;
  compressBound(size: number): number;
  readonly CCtx: new () => { compress(target: Uint8Array, source: Uint8Array, level: number): number };
  readonly DCtx: new () => {
    decompress(target: Uint8Array, source: Uint8Array): number;
    decompressStream(
      target: Uint8Array,
      source: Uint8Array,
    ): [hint: number, produced: number, consumed: number];
  };
}

const PACKAGE: string = "zstd-napi/binding.js";

/** Zstandard as zstd-napi carries it. Contexts are reused: making one costs more than a small chunk. */
export interface Zstd {
  /** Version of the bundled library, `1.5.7`. */
  readonly version: string;
  /**
   * One complete frame with its content size.
   *
   * @returns A view of a scratch buffer, good until the next call.
   */
  compress(bytes: Uint8Array, level: number): Uint8Array;
  /**
   * Decodes whole frames into `target` and never writes past it.
   *
   * @returns Bytes written.
   * @throws {Error} when the frames are damaged or hold more than fits in `target`.
   */
  decompressInto(target: Uint8Array, frames: Uint8Array): number;
  /** A streaming decoder of its own. */
  openDecoder(): ZstdDecoder;
}

/** Decodes frames piece by piece. */
export interface ZstdDecoder {
  /** Reads from `source` into `target`; `isFrameDone` is true at a frame's last byte. */
  step(target: Uint8Array, source: Uint8Array): { isFrameDone: boolean; produced: number; consumed: number };
}

function wrap(binding: ZstdBinding): Zstd {
  const compressor = new binding.CCtx();
  const decompressor = new binding.DCtx();
  let scratch = new Uint8Array(0);
  return {
    version: binding.versionString(),
    compress(bytes, level) {
      // The bound, not the input's size: the encoder must never choose by the room it is given.
      const bound = binding.compressBound(bytes.length);
      if (scratch.length < bound) scratch = new Uint8Array(bound);
      return scratch.subarray(0, compressor.compress(scratch, bytes, level));
    },
    decompressInto: (target, frames) => decompressor.decompress(target, frames),
    openDecoder() {
      // The library refuses windows over 128 MiB by default, which bounds the memory of a hostile frame.
      const context = new binding.DCtx();
      return {
        step(target, source) {
          const [hint, produced, consumed] = context.decompressStream(target, source);
          return { isFrameDone: hint === 0, produced, consumed };
        },
      };
    },
  };
}

async function load(): Promise<Zstd | { readonly missing: unknown }> {
  try {
    const module = (await import(PACKAGE)) as ZstdBinding & { readonly default?: ZstdBinding };
    return wrap(module.default ?? module);
  } catch (cause) {
    return { missing: cause };
  }
}

// An optional package: it compiles C++ when it is installed, which fails on machines without a compiler.
const loaded = await load();

/**
 * Zstandard, or the reason why there is none.
 *
 * @throws {CodedError} ERR_CODEC_MISSING when the optional package zstd-napi is not installed.
 */
export function requireZstd(): Zstd {
  if ("missing" in loaded) {
    throw new CodedError(
      "ERR_CODEC_MISSING",
      "zstd needs the optional package zstd-napi, which is not installed",
      {
        cause: loaded.missing,
      },
    );
  }
  return loaded;
}

/** True when zstd can be read and written. */
export function hasZstd(): boolean {
  return !("missing" in loaded);
}
