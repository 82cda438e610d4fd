import { viewOf } from "../base/bytes.ts";
import { prefetchTableSize } from "../format/rafs/extended-superblock.ts";
import { compressorOfFlags, digesterOfFlags } from "../format/rafs/features.ts";
import { decodePrefetchTable, PREFETCH_ROW_SIZE } from "../format/rafs/prefetch-table.ts";
import { blobOfRecord, checkBlobId } from "./blob-conversion.ts";
import type { Bootstrap, ReadBootstrapOptions } from "./bootstrap.ts";
import { BootstrapView } from "./bootstrap-view.ts";
import { ChunkCatalog } from "./chunk-catalog.ts";
import { TreeReader } from "./tree-reader.ts";

/**
 * Reads a v6 bootstrap.
 *
 * @throws {CodedError} ERR_BOOTSTRAP_CORRUPT; ERR_FEATURE_UNSUPPORTED, naming the feature; ERR_OPTION_INVALID for a
 *   `blobId` that is none.
 */
export function readBootstrapV6(bytes: Uint8Array, options: ReadBootstrapOptions = {}): Bootstrap {
  const { blobId } = options;
  checkBlobId(blobId);
  const view = new BootstrapView(bytes, options);
  const { extended } = view.header;
  const chunks = new ChunkCatalog(bytes, extended.chunkTableOffset, extended.chunkTableSize, view.blockSize);
  const prefetchRows = prefetchTableSize(extended) / PREFETCH_ROW_SIZE;
  const prefetchNids = decodePrefetchTable(viewOf(bytes), extended.prefetchTableOffset, prefetchRows);
  const tree = new TreeReader(view, chunks, bytes.length, prefetchNids);
  const root = tree.read();
  return {
    fsVersion: 6,
    flags: view.flags,
    root,
    blobs: view.blobRows.map((row) => blobOfRecord(row, blobId)),
    chunkSize: view.chunkSize,
    // The header was checked: the flags name one of each.
    compressor: compressorOfFlags(view.flags) ?? "none",
    digester: digesterOfFlags(view.flags) ?? "blake3",
    prefetch: tree.pathsOf(prefetchNids),
    recordedLinks: tree.recordedLinks(),
  };
}
