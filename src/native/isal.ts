/** Intel's ISA-L, which inflates about three times as fast as zlib. */
export interface Isal {
  /** Name of the library's file with its version: `libisal.so.2.0.30`. */
  readonly file: string;
  /** An inflater of its own; any thread may have any number. It is freed with the last reference to it. */
  openInflater(): Inflater;
  /** CRC-32C of fewer than 2 GiB, an unsigned 32-bit number. */
  crc32c(bytes: Uint8Array): number;
}

/** Decodes gzip members piece by piece, all but their headers. */
export interface Inflater {
  /**
   * Decodes from `source` into `target`, both of fewer than 2 GiB and both free to share memory with other threads as
   * long as those leave it alone during the call. It stops when the target is full, the source used up or the
   * member done, its checksum and size having been read and found right. A target that got full may leave
   * decoded bytes inside: step again, with an empty source if need be. After a member's end or a failure the
   * next step begins a new member.
   *
   * @throws {Error} when the member is damaged.
   */
  step(target: Uint8Array, source: Uint8Array): InflateStep;
}

/** What one step of an {@link Inflater} did. */
export interface InflateStep {
  /** Bytes written to the start of the target. */
  readonly produced: number;
  /** Bytes used from the start of the source, which end with the member. */
  readonly consumed: number;
  readonly isMemberDone: boolean;
}

/** The functions of isal.cc; there are none in an addon that was built without the library's headers. */
export interface IsalExports {
  /** `undefined` where the library is not installed; the others must not be called then. */
  isalFile?(): string | undefined;
  inflaterOpen?(): unknown;
  inflaterStep?(
    inflater: unknown,
    target: Uint8Array,
    source: Uint8Array,
  ): [produced: number, consumed: number, isMemberDone: boolean];
  crc32c?(bytes: Uint8Array): number;
}

/** The library, where the addon knows it and the machine has it. */
export function loadIsal(native: IsalExports): Isal | undefined {
  const { isalFile, inflaterOpen, inflaterStep, crc32c } = native;
  const file = isalFile?.();
  if (file === undefined || !inflaterOpen || !inflaterStep || !crc32c) return undefined;
  return {
    file,
    crc32c,
    openInflater() {
      const inflater = inflaterOpen();
      return {
        step(target, source) {
          const [produced, consumed, isMemberDone] = inflaterStep(inflater, target, source);
          return { produced, consumed, isMemberDone };
        },
      };
    },
  };
}
