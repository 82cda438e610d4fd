import type { Compressor } from "../../base/algorithm.ts";
import { CodedError } from "../../base/errors.ts";
import {
  CHUNK_INFORMATION_HEADER_SIZE,
  decodeChunkInformationHeader,
  looksLikeChunkInformationHeader,
} from "./chunk-information-header.ts";
import { decodeTarTrailer, looksLikeTarTrailer, TAR_TRAILER_SIZE, type TarTrailer } from "./tar-trailer.ts";
import { decodeToc, MAX_TOC_ROWS, TOC_ROW_SIZE, type TocRow } from "./toc.ts";

/** Names of the sections, as tar trailers and the table of contents write them. */
export const SECTION_NAMES = {
  /** The stored chunks. */
  CHUNKS: "image.blob",
  /** The chunk information array; the tar trailer of this name covers array and header. */
  CHUNK_INFORMATION: "blob.meta",
  CHUNK_INFORMATION_HEADER: "blob.meta.header",
  /** 32 bytes per chunk. */
  DIGESTS: "blob.digest",
  BOOTSTRAP: "image.boot",
  TOC: "rafs.blob.toc",
} as const;

/** A run of bytes in a blob file. Offsets and sizes are bytes. */
export interface BlobSection {
  readonly offset: number;
  readonly storedSize: number;
  /** How the section as a whole is stored; the chunks of `image.blob` have their own compression. */
  readonly compressor: Compressor;
  /** Known only where the blob records it. */
  readonly decodedSize: number | undefined;
  /** sha256 of the decoded section, from a table of contents. Worth no more than the table itself. */
  readonly digest: Uint8Array | undefined;
}

/** The table of contents as it lies in the blob. */
export interface BlobToc {
  readonly rows: readonly TocRow[];
  /** Rows and tar trailer: the bytes the blob table's TOC digest is over. */
  readonly bytes: Uint8Array;
}

/** What one blob file is made of. */
export interface BlobSections {
  /** By the names of {@link SECTION_NAMES}. Empty for a blob that is chunks only. */
  readonly sections: ReadonlyMap<string, BlobSection>;
  readonly toc: BlobToc | undefined;
}

/** Reads exactly `length` bytes from `offset` of the blob file. */
export type BlobRead = (offset: number, length: number) => Promise<Uint8Array>;

/** How many bytes at the end of a blob are read first: they hold any table of contents. */
export const BLOB_TAIL_SIZE = 4096;
/** No packing has more trailers. */
const MAX_TRAILERS = 6;

/**
 * Finds the sections of a blob file: by its table of contents, else by walking its tar trailers
 * backwards, else by the chunk information header at its end.
 *
 * Every section returned lies inside the blob. Nothing is verified against a digest. At most a handful
 * of reads of at most 4096 bytes are made.
 *
 * @param blobSize Bytes of the blob file.
 * @throws {CodedError} ERR_BLOB_CORRUPT when what is found contradicts itself, and what `read` throws.
 */
export async function findBlobSections(blobSize: number, read: BlobRead): Promise<BlobSections> {
  const tailSize = Math.min(BLOB_TAIL_SIZE, blobSize);
  const tail = tailSize === 0 ? new Uint8Array(0) : await read(blobSize - tailSize, tailSize);
  const last = tail.subarray(Math.max(0, tail.length - TAR_TRAILER_SIZE));
  if (looksLikeTarTrailer(last)) {
    const trailer = decodeTarTrailer(last);
    if (trailer.name === SECTION_NAMES.TOC) return sectionsOfToc(tail, trailer, blobSize);
    return { sections: await walkTrailers(trailer, blobSize, read), toc: undefined };
  }
  const sections = new Map<string, BlobSection>();
  if (looksLikeChunkInformationHeader(tail)) {
    addChunkInformation(sections, tail, blobSize - CHUNK_INFORMATION_HEADER_SIZE);
    const information = sections.get(SECTION_NAMES.CHUNK_INFORMATION);
    if (information !== undefined) sections.set(SECTION_NAMES.CHUNKS, raw(0, information.offset));
  }
  return { sections, toc: undefined };
}

function sectionsOfToc(tail: Uint8Array, trailer: TarTrailer, blobSize: number): BlobSections {
  const size = trailer.size + TAR_TRAILER_SIZE;
  if (trailer.size > MAX_TOC_ROWS * TOC_ROW_SIZE || size > tail.length) {
    throw new CodedError("ERR_BLOB_CORRUPT", `table of contents has ${trailer.size} bytes`);
  }
  const bytes = tail.subarray(tail.length - size);
  const rows = decodeToc(bytes.subarray(0, trailer.size));
  const limit = blobSize - size;
  const sections = new Map<string, BlobSection>();
  for (const row of rows) {
    // Early writers recorded the end of the chunks as their offset; they always start the file.
    const offset = row.name === SECTION_NAMES.CHUNKS ? 0 : row.storedOffset;
    if (offset + row.storedSize > limit) {
      throw new CodedError("ERR_BLOB_CORRUPT", `section ${row.name} ends behind ${limit}, where it must`);
    }
    const { storedSize, decodedSize, compressor, digest } = row;
    sections.set(row.name, { offset, storedSize, decodedSize, compressor, digest });
  }
  return { sections, toc: { rows, bytes } };
}

async function walkTrailers(
  lastTrailer: TarTrailer,
  blobSize: number,
  read: BlobRead,
): Promise<Map<string, BlobSection>> {
  const sections = new Map<string, BlobSection>();
  let trailer = lastTrailer;
  let end = blobSize - TAR_TRAILER_SIZE;
  for (let count = 0; count < MAX_TRAILERS; count++) {
    const { name, size } = trailer;
    const offset = end - size;
    if (offset < 0 || sections.has(name)) {
      throw new CodedError(
        "ERR_BLOB_CORRUPT",
        `tar trailer ${JSON.stringify(name)} of ${size} bytes at ${end}`,
      );
    }
    if (name === SECTION_NAMES.CHUNK_INFORMATION) {
      if (size < CHUNK_INFORMATION_HEADER_SIZE) {
        throw new CodedError("ERR_BLOB_CORRUPT", `section ${name} has ${size} bytes`);
      }
      const headerOffset = end - CHUNK_INFORMATION_HEADER_SIZE;
      addChunkInformation(sections, await read(headerOffset, CHUNK_INFORMATION_HEADER_SIZE), headerOffset);
      if (sections.get(name)?.offset !== offset) {
        throw new CodedError("ERR_BLOB_CORRUPT", `section ${name} does not start where its header says`);
      }
    } else {
      sections.set(name, raw(offset, size));
    }
    if (offset === 0) return sections;
    if (offset < TAR_TRAILER_SIZE) break;
    end = offset - TAR_TRAILER_SIZE;
    trailer = decodeTarTrailer(await read(end, TAR_TRAILER_SIZE));
  }
  throw new CodedError("ERR_BLOB_CORRUPT", `the tar trailers stop at ${end}, not at the start of the blob`);
}

/** Adds array and header as the header at `headerOffset` describes them. */
function addChunkInformation(
  sections: Map<string, BlobSection>,
  headerBytes: Uint8Array,
  headerOffset: number,
): void {
  const header = decodeChunkInformationHeader(headerBytes);
  if (header.offset + header.storedSize !== headerOffset) {
    throw new CodedError(
      "ERR_BLOB_CORRUPT",
      `chunk information ends at ${header.offset + header.storedSize}, its header starts at ${headerOffset}`,
    );
  }
  const { offset, storedSize, decodedSize, compressor } = header;
  sections.set(SECTION_NAMES.CHUNK_INFORMATION, {
    offset,
    storedSize,
    decodedSize,
    compressor,
    digest: undefined,
  });
  sections.set(SECTION_NAMES.CHUNK_INFORMATION_HEADER, raw(headerOffset, CHUNK_INFORMATION_HEADER_SIZE));
}

function raw(offset: number, size: number): BlobSection {
  return { offset, storedSize: size, decodedSize: undefined, compressor: "none", digest: undefined };
}
