import fc from "fast-check";

/** Bytes that use every means of a compressor: literals, runs, and repetitions near and far. */
export const compressibleBytes: fc.Arbitrary<Buffer> = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.tuple(fc.nat(255), fc.nat(700)).map(([byte, length]) => new Uint8Array(length).fill(byte)),
      fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.nat(200)).map(([unit, times]) => {
        return Buffer.concat(new Array<Uint8Array>(times).fill(unit));
      }),
    ),
    { maxLength: 30, size: "max" },
  )
  .chain((parts) => fc.integer({ min: 1, max: 12 }).map((times) => ({ parts, times })))
  .map(({ parts, times }) => Buffer.concat(new Array<Uint8Array[]>(times).fill(parts).flat()));

/** A way to spoil stored bytes: bits to flip, each at a share of the length, and the share that is left over. */
export interface Damage {
  readonly flips: readonly (readonly [place: number, bit: number])[];
  readonly keep: number;
}

const share = fc.noBias(fc.nat(9999)).map((part) => part / 10_000);

/** Flipped bits, or a cut, or both. */
export const damage: fc.Arbitrary<Damage> = fc.record({
  flips: fc.array(fc.tuple(share, fc.nat(7)), { maxLength: 3 }),
  keep: fc.oneof(fc.constant(1), share),
});

/** A spoilt copy. */
export function spoil(bytes: Uint8Array, { flips, keep }: Damage): Buffer {
  const spoilt = Buffer.from(bytes.subarray(0, Math.floor(bytes.length * keep)));
  for (const [place, bit] of flips) {
    const at = Math.min(Math.floor(spoilt.length * place), spoilt.length - 1);
    if (at >= 0) spoilt[at] = (spoilt[at] as number) ^ (1 << bit);
  }
  return spoilt;
}
