import assert from "node:assert/strict";
import type { Blob } from "#src/image/chunk.js";
import type { FindingCode } from "#src/image/finding.js";

/** One change to the row of a blob, and what its own chunk information must be found to be beside it. */
export interface BlobRowMutation {
  readonly code: FindingCode;
  readonly change: (blob: Blob) => Partial<Blob>;
}

/** Changes to the row of a blob in the blob table. */
export const BLOB_ROW_MUTATIONS: readonly BlobRowMutation[] = [
  { code: "header-count-mismatch", change: (blob) => ({ chunkCount: blob.chunkCount + 1 }) },
  { code: "header-compressor-mismatch", change: (blob) => moved(blob, { compressor: "lz4_block" }) },
  { code: "header-offset-mismatch", change: (blob) => moved(blob, { offset: 1 }) },
  { code: "header-size-mismatch", change: (blob) => moved(blob, { storedSize: 1 }) },
  { code: "header-context-invalid", change: (blob) => ({ features: blob.features | 0x84 }) },
  { code: "chunk-information-fault", change: () => ({ decodedSize: 4096 }) },
  { code: "decoded-size-mismatch", change: (blob) => ({ decodedSize: blob.decodedSize + 4096 }) },
];

function moved(blob: Blob, change: Partial<NonNullable<Blob["chunkInformation"]>>): Partial<Blob> {
  assert.ok(blob.chunkInformation !== undefined);
  return { chunkInformation: { ...blob.chunkInformation, ...change } };
}
