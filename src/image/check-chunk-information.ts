import { alignUp } from "../base/bytes.ts";
import type { ChunkInformationHeader } from "../format/blob/chunk-information-header.ts";
import { type ChunkTable, DECODED_ALIGNMENT } from "../format/blob/chunk-table.ts";
import { BLOB_FEATURES } from "../format/rafs/features.ts";
import type { Blob } from "./chunk.ts";
import { type Finding, FindingList } from "./finding.ts";

/**
 * Checks of a blob's chunk information what no reader of ours needs, but nydusd relies on. Such an image mounts
 * and fails when a chunk is first read.
 *
 * @param where What to call the blob in findings, such as `blob 3`.
 * @param header The header behind the array.
 * @param table The array, as `decodeChunkTable` accepted it.
 */
export function checkChunkInformation(
  where: string,
  blob: Blob,
  header: ChunkInformationHeader,
  table: ChunkTable,
): Finding[] {
  const findings = new FindingList();
  checkContexts(where, blob, header, findings);
  checkDecodedSize(where, blob, table, findings);
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

function checkDecodedSize(where: string, blob: Blob, table: ChunkTable, findings: FindingList): void {
  const last = table.count - 1;
  const end = (table.decodedOffsets[last] ?? 0) + (table.decodedSizes[last] ?? 0);
  if (alignUp(end, DECODED_ALIGNMENT) === blob.decodedSize) return;
  findings.add("decoded-size-mismatch", where, `chunks end at ${end}, its row says ${blob.decodedSize}`);
}
