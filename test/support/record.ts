import assert from "node:assert/strict";
import { fromHex, toHex, viewOf } from "#src/base/bytes.js";

/** A record type under test. */
export interface RecordCodec<Value> {
  readonly size: number;
  readonly decode: (view: DataView, offset: number) => Value;
  readonly encode: (view: DataView, offset: number, value: Value) => void;
}

/**
 * Asserts that `hex` (spaces and line breaks do not count) is `value` in both directions, away from the start of the
 * buffer, and that a buffer one byte short gives a RangeError.
 */
export function checkRecord<Value>(codec: RecordCodec<Value>, hex: string, value: Value): void {
  const bytes = fromHex(hex.replace(/\s/g, ""));
  assert.equal(bytes.length, codec.size);
  const shifted = new Uint8Array(bytes.length + 8);
  shifted.set(bytes, 8);
  assert.deepEqual(codec.decode(viewOf(shifted), 8), value);

  const written = new Uint8Array(bytes.length + 8);
  codec.encode(viewOf(written), 8, value);
  assert.equal(toHex(written), toHex(shifted));

  const short = viewOf(shifted.subarray(0, shifted.length - 1));
  assert.throws(() => codec.encode(short, 8, value), RangeError);
}
