import { alignUp } from "../base/bytes.ts";
import { chunkTableFaults, storedChunksEnd } from "../format/blob/chunk-information.ts";
import type { ChunkInformationHeader } from "../format/blob/chunk-information-header.ts";
import { type ChunkTable, DECODED_ALIGNMENT } from "../format/blob/chunk-table.ts";
import { BLOB_FEATURES } from "../format/rafs/features.ts";
import type { Blob } from "./chunk.ts";
import { type Finding, FindingList } from "./finding.ts";

/**
 * Checks a blob's own chunk information against its row of the blob table.
 *
 * nydusd compares the header with the row and refuses the blob when they differ, but only when a chunk is
 * first read, so such an image mounts and then fails.
 *
 * @param where What to call the blob in findings, such as `blob 3`.
 * @param header The header behind the blob's chunk information array.
 * @param table The array; leave it out when it cannot be decoded, for the header alone.
 */
export function checkBlobTable(
  where: string,
  blob: Blob,
  header: ChunkInformationHeader,
  table?: ChunkTable,
): Finding[] {
  const findings = new FindingList();
  const location = blob.chunkInformation;
  if (header.chunkCount !== blob.chunkCount) {
    const what = `${header.chunkCount} chunks, its row says ${blob.chunkCount}`;
    findings.add("header-count-mismatch", where, what);
  }
  if (header.compressor !== location?.compressor) {
    const what = `chunk information in ${header.compressor}, its row says ${location?.compressor}`;
    findings.add("header-compressor-mismatch", where, what);
  }
  if (header.offset !== location?.offset) {
    const what = `chunk information at ${header.offset}, its row says ${location?.offset}`;
    findings.add("header-offset-mismatch", where, what);
  }
  if (header.storedSize !== location?.storedSize || header.decodedSize !== location?.decodedSize) {
    const found = `${header.storedSize} stored and ${header.decodedSize} decoded bytes of chunk information`;
    const expected = `${location?.storedSize} and ${location?.decodedSize}`;
    findings.add("header-size-mismatch", where, `${found}, its row says ${expected}`);
  }
  checkContexts(where, blob, header, findings);
  if (table !== undefined) checkTable(where, blob, table, findings);
  return findings.toArray();
}

function checkContexts(
  where: string,
  blob: Blob,
  header: ChunkInformationHeader,
  findings: FindingList,
): void {
  const { contextOffset, contextSize, contextCount } = header;
  const hasContexts = (blob.features & (BLOB_FEATURES.BATCH | BLOB_FEATURES.ZRAN)) !== 0;
  const isSound = hasContexts
    ? contextOffset === blob.chunkCount * 24 &&
      contextOffset + contextSize <= header.decodedSize &&
      contextCount <= blob.chunkCount &&
      contextCount * 40 <= contextSize
    : contextOffset === 0 && contextSize === 0 && contextCount === 0;
  if (isSound) return;
  const what = `${contextCount} batch or zran rows in ${contextSize} bytes at ${contextOffset}`;
  findings.add("header-context-invalid", where, what);
}

function checkTable(where: string, blob: Blob, table: ChunkTable, findings: FindingList): void {
  const { features, compressor, chunkCount, decodedSize } = blob;
  const storedEnd = storedChunksEnd(blob);
  for (const fault of chunkTableFaults(table, { features, compressor, chunkCount, storedEnd, decodedSize })) {
    findings.add("chunk-information-fault", where, fault.message);
    if (findings.isFull) return;
  }
  const last = table.count - 1;
  const end = (table.decodedOffsets[last] ?? 0) + (table.decodedSizes[last] ?? 0);
  if (alignUp(end, DECODED_ALIGNMENT) !== alignUp(decodedSize, DECODED_ALIGNMENT)) {
    findings.add("decoded-size-mismatch", where, `chunks end at ${end}, its row says ${decodedSize}`);
  }
}
