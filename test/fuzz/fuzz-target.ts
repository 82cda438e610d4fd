import { CodedError } from "#src/base/errors.js";
import { mutate } from "./mutate.ts";
import { Random, seedOf } from "./random.ts";

/** One decoder under attack. */
export interface FuzzTarget {
  readonly name: string;
  /** Valid inputs, which others are made of. */
  readonly corpus: () => readonly Uint8Array[];
  /** Mends checksums of a mutated input, so that what lies behind them is reached. */
  readonly repair?: (bytes: Uint8Array) => void;
  /**
   * Decodes an input and looks at the result as its users do. A CodedError means that the input is refused; any
   * other error is a finding.
   */
  readonly decode: (bytes: Uint8Array) => unknown;
}

/** The input of a number: the first ones are the corpus itself. */
export function inputOf(
  target: FuzzTarget,
  corpus: readonly Uint8Array[],
  seed: number,
  index: number,
): Uint8Array {
  const valid = corpus[index];
  if (valid !== undefined) return valid;
  const random = new Random(seedOf(seed, target.name, index));
  const bytes = mutate(corpus, random);
  // Some keep their wrong checksum, which is to be found too.
  if (random.below(8) > 0) target.repair?.(bytes);
  return bytes;
}

/**
 * Whether the target accepts the input.
 *
 * @throws what is a finding.
 */
export async function isAccepted(target: FuzzTarget, bytes: Uint8Array): Promise<boolean> {
  try {
    await target.decode(bytes);
    return true;
  } catch (error) {
    if (error instanceof CodedError) return false;
    throw error;
  }
}
