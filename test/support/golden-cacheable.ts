import { basename, join } from "node:path";
import { viewOf } from "#src/base/bytes.js";
import { decompressChunk } from "#src/codec/decompress.js";
import { encodeBlobMetaFile } from "#src/format/blob/blob-meta-file.js";
import { decodeChunkTable, storedChunksEnd } from "#src/format/blob/chunk-information.js";
import {
  CHUNK_INFORMATION_HEADER_SIZE,
  decodeChunkInformationHeader,
} from "#src/format/blob/chunk-information-header.js";
import { BLOB_RECORD_SIZE, decodeBlobRecord } from "#src/format/rafs/blob-record.js";
import { CHUNK_RECORD_SIZE, decodeChunkRecord } from "#src/format/rafs/chunk-record.js";
import {
  decodeExtendedSuperblock,
  EXTENDED_SUPERBLOCK_OFFSET,
} from "#src/format/rafs/extended-superblock.js";
import { compressorOfNumber, digesterOfNumber } from "#src/format/rafs/features.js";
import type { CacheableBlob } from "#src/store/chunk-cache.js";
import { findGoldenBlob, goldenBootstrap } from "./golden-blobs.ts";

/** The blobs of a golden image, as its bootstrap and the blobs themselves describe them. */
export function goldenCacheableBlobs(name: string): CacheableBlob[] {
  const { bytes, blobFolders } = goldenBootstrap(join("made", basename(name)));
  const view = viewOf(bytes);
  const superblock = decodeExtendedSuperblock(view, EXTENDED_SUPERBLOCK_OFFSET);
  const blobs: CacheableBlob[] = [];
  for (let row = 0; row < superblock.blobTableSize / BLOB_RECORD_SIZE; row++) {
    const record = decodeBlobRecord(view, superblock.blobTableOffset + row * BLOB_RECORD_SIZE);
    const file = findGoldenBlob(blobFolders, record.id);
    if (file === undefined) throw new Error(`no golden blob ${record.id}`);
    const start = record.chunkInformationOffset;
    const end = start + record.chunkInformationStoredSize;
    const chunkInformation = decompressChunk(
      record.chunkInformationStoredSize === record.chunkInformationDecodedSize
        ? "none"
        : (compressorOfNumber(record.chunkInformationCompressor) ?? "none"),
      file.subarray(start, end),
      record.chunkInformationDecodedSize,
    );
    const header = decodeChunkInformationHeader(file.subarray(end, end + CHUNK_INFORMATION_HEADER_SIZE));
    const compressor = compressorOfNumber(record.compressor) ?? "none";
    const table = decodeChunkTable(chunkInformation, {
      features: record.features,
      compressor,
      chunkCount: record.chunkCount,
      decodedSize: record.decodedSize,
      storedEnd: storedChunksEnd({
        features: record.features,
        storedSize: record.storedSize,
        chunkInformation: { offset: start, decodedSize: record.chunkInformationDecodedSize },
      }),
    });
    const digests = new Uint8Array(record.chunkCount * 32);
    for (let chunk = 0; chunk < superblock.chunkTableSize / CHUNK_RECORD_SIZE; chunk++) {
      const found = decodeChunkRecord(view, superblock.chunkTableOffset + chunk * CHUNK_RECORD_SIZE);
      if (found.blobIndex === row) digests.set(found.digest, found.index * 32);
    }
    blobs.push({
      id: record.id,
      compressor,
      digester: digesterOfNumber(record.digester) ?? "sha256",
      table,
      digests,
      decodedSize: record.decodedSize,
      metaBytes: encodeBlobMetaFile({ header, chunkInformation }),
    });
  }
  return blobs;
}
