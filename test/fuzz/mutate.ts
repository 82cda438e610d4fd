import type { Random } from "./random.ts";

/** Numbers at which decoders change their mind. */
const NUMBERS: readonly bigint[] = [
  ...[0n, 1n, 2n, 7n, 8n, 12n, 64n, 127n, 128n, 255n, 256n, 511n, 512n, 4095n, 4096n, 4097n],
  ...[0x7fffn, 0x8000n, 0xffffn, 0x1_0000n, 2n ** 20n, 2n ** 24n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n],
  ...[2n ** 32n, 2n ** 40n, 2n ** 44n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n],
];
/** Of these an input has at most as many changes. */
const MAX_CHANGES = 6;
const MAX_GROWTH = 2 ** 16;

type Change = (bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

/**
 * Makes an input out of a valid one: some bits, numbers and runs of bytes are changed, the end is cut off, or what
 * another input has is put in.
 *
 * @param corpus Valid inputs, not empty.
 */
export function mutate(corpus: readonly Uint8Array[], random: Random): Uint8Array {
  let bytes = Uint8Array.from(random.pick(corpus));
  const changes = 1 + random.below(MAX_CHANGES);
  for (let change = 0; change < changes; change++) {
    bytes = Uint8Array.from(random.pick(CHANGES)(bytes, random, random.pick(corpus)));
  }
  return bytes;
}

const flipBit: Change = (bytes, random) => {
  const at = random.below(bytes.length);
  if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  return bytes;
};

const setByte: Change = (bytes, random) => {
  if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
  return bytes;
};

const setNumber: Change = (bytes, random) => {
  const size = random.pick([1, 2, 4, 8]);
  if (bytes.length < size) return bytes;
  const unit = random.pick([1, size]);
  const at = Math.floor(random.below(bytes.length - size + 1) / unit) * unit;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const isLittle = random.below(4) > 0;
  const near = BigInt(random.below(3) - 1);
  // Half of them stay close to what was there: an offset or length that is almost right.
  let value = random.pick(NUMBERS) + near;
  if (random.below(2) === 0) {
    value = near;
    for (let index = 0; index < size; index++) {
      value += BigInt(bytes[at + index] ?? 0) << BigInt(8 * (isLittle ? index : size - 1 - index));
    }
  }
  for (let index = 0; index < size; index++) {
    const shift = BigInt(8 * (isLittle ? index : size - 1 - index));
    view.setUint8(at + index, Number((BigInt.asUintN(64, value) >> shift) & 0xffn));
  }
  return bytes;
};

/** Another number, in digits, where there is one. */
const setDigits: Change = (bytes, random) => {
  const isDigit = (at: number): boolean => (bytes[at] ?? 0) >= 0x30 && (bytes[at] ?? 0) <= 0x39;
  let start = random.below(bytes.length);
  const last = Math.min(bytes.length, start + 4096);
  while (start < last && !isDigit(start)) start++;
  let end = start;
  while (end < bytes.length && isDigit(end)) end++;
  if (end === start) return bytes;
  const digits = random.pick(NUMBERS).toString(random.pick([8, 10]));
  // In half of them in its place, as a field of a tar has it.
  const text = random.below(2) === 0 ? digits.padStart(end - start, "0").slice(start - end) : digits;
  return replace(bytes, start, end, new TextEncoder().encode(text));
};

const cut: Change = (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1));

const remove: Change = (bytes, random) => {
  const [start, end] = rangeOf(bytes, random);
  return replace(bytes, start, end, new Uint8Array(0));
};

const fill: Change = (bytes, random) => {
  const [start, end] = rangeOf(bytes, random);
  return bytes.fill(random.pick([0, 0xff, 0x20, random.below(256)]), start, end);
};

const duplicate: Change = (bytes, random) => {
  const [start, end] = rangeOf(bytes, random);
  return replace(bytes, end, end, bytes.subarray(start, end));
};

const move: Change = (bytes, random) => {
  const [start, end] = rangeOf(bytes, random);
  bytes.copyWithin(random.below(bytes.length), start, end);
  return bytes;
};

/** Bytes of the other input at the same place, over or between those of this one. */
const splice: Change = (bytes, random, other) => {
  const [start, end] = rangeOf(other, random);
  const at = Math.min(start, bytes.length);
  return replace(
    bytes,
    at,
    random.below(2) === 0 ? at : Math.min(end, bytes.length),
    other.subarray(start, end),
  );
};

/** The beginning of this one and the end of the other. */
const cross: Change = (bytes, random, other) => {
  const at = random.below(bytes.length + 1);
  return replace(bytes, at, bytes.length, other.subarray(at));
};

const CHANGES: readonly Change[] = [
  ...[flipBit, flipBit, setByte, setNumber, setNumber, setNumber, setDigits, setDigits],
  ...[cut, remove, fill, duplicate, move, splice, cross],
];

/** A range that is mostly short and often of whole records. */
function rangeOf(bytes: Uint8Array, random: Random): readonly [start: number, end: number] {
  const unit = random.pick([1, 1, 4, 8, 12, 128, 512]);
  const start = Math.floor(random.below(bytes.length + 1) / unit) * unit;
  const length = unit * (1 + random.below(random.pick([2, 16, 256])));
  return [start, Math.min(bytes.length, start + Math.min(length, MAX_GROWTH))];
}

function replace(bytes: Uint8Array, start: number, end: number, inserted: Uint8Array): Uint8Array {
  const result = new Uint8Array(start + inserted.length + bytes.length - end);
  result.set(bytes.subarray(0, start));
  result.set(inserted, start);
  result.set(bytes.subarray(end), start + inserted.length);
  return result;
}
