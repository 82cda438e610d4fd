import { CodedError } from "#src/base/errors.js";
import type { FuzzTarget } from "./fuzz-target.ts";

const corpus = (): Uint8Array[] => [new Uint8Array(64)];

/** Decoders with bugs in them, which the loop must find. */
export const TARGETS: readonly FuzzTarget[] = [
  {
    name: "sound",
    corpus,
    decode: (bytes) => {
      if (bytes[0] !== 0) throw new CodedError("ERR_LAYER_INVALID", "refused");
    },
  },
  {
    name: "throws",
    corpus,
    decode: (bytes) => {
      if (bytes[7] === 0x80) throw new TypeError("planted");
    },
  },
  {
    name: "hangs",
    corpus,
    decode: (bytes) => {
      while (bytes[7] === 0x80);
    },
  },
  {
    name: "never-answers",
    corpus,
    decode: (bytes) => (bytes[7] === 0x80 ? new Promise(() => {}) : undefined),
  },
  {
    name: "is-slow",
    corpus,
    decode: (bytes) => {
      const before = process.cpuUsage().user;
      while (bytes[7] === 0x80 && process.cpuUsage().user - before < 2_200_000);
    },
  },
  {
    name: "takes-memory",
    corpus,
    decode: (bytes) => (bytes[7] === 0x80 ? new Uint8Array(2 ** 29).fill(1) : undefined),
  },
];
