import { textOf, toHex } from "../base/bytes.ts";
import { isCoded } from "../base/errors.ts";
import { findBlobSections } from "../format/blob/blob-sections.ts";
import type { Descriptor } from "../format/oci/descriptor.ts";
import { BLOB_FEATURES, SUPER_FLAGS } from "../format/rafs/features.ts";
import { type BootstrapLayout, bootstrapLayout } from "../image/bootstrap-layout.ts";
import type { Blob } from "../image/chunk.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import type { NydusImage } from "./nydus-image.ts";

/** A part of a blob file. Sizes are bytes. */
export interface InspectedSection {
  readonly name: string;
  readonly offset: number;
  readonly storedSize: number;
  readonly decodedSize: number | undefined;
  readonly compressor: string;
}

/** What the blob table and the blob file say of a blob. */
export interface InspectedBlob extends Omit<Blob, "features" | "tocDigest"> {
  readonly features: readonly string[];
  readonly tocDigest: string | undefined;
  /** Bytes of the blob file; absent when it could not be read. */
  readonly fileSize: number | undefined;
  readonly sections: readonly InspectedSection[];
  /** Why the blob file could not be read. */
  readonly unreadable: string | undefined;
}

/** What `nydus-convert inspect` prints. */
export interface InspectedImage extends BootstrapLayout {
  readonly name: string;
  readonly fsVersion: 5 | 6;
  readonly flags: readonly string[];
  readonly compressor: string;
  readonly digester: string;
  readonly chunkSize: number;
  readonly bootstrapSize: number;
  readonly prefetch: readonly string[];
  readonly blobs: readonly InspectedBlob[];
  /** Absent without a manifest. */
  readonly manifest: { readonly descriptor: Descriptor; readonly layers: readonly Descriptor[] } | undefined;
  /** Blob ids of the `.blob.meta` files in the bootstrap layer. */
  readonly metaFiles: readonly string[];
}

/**
 * What an image is made of, byte by byte: super-block, tables, blobs and their sections. Of every blob the
 * end is read; one that is not there is told as such.
 *
 * @throws {CodedError} ERR_ABORTED.
 */
export async function inspectImage(image: NydusImage, options: ReadOptions): Promise<InspectedImage> {
  const { bootstrap, bootstrapBytes, name, selected } = image;
  const blobs: InspectedBlob[] = [];
  for (const blob of bootstrap.blobs) blobs.push(await inspectBlob(image, blob, options));
  return {
    name,
    fsVersion: bootstrap.fsVersion,
    flags: namesOfBits(bootstrap.flags, SUPER_FLAGS),
    compressor: bootstrap.compressor,
    digester: bootstrap.digester,
    chunkSize: bootstrap.chunkSize,
    bootstrapSize: bootstrapBytes.length,
    ...bootstrapLayout(bootstrapBytes, bootstrap.fsVersion),
    prefetch: bootstrap.prefetch.map(textOf),
    blobs,
    manifest: selected && { descriptor: selected.descriptor, layers: selected.manifest.layers },
    metaFiles: [...image.metaFiles.keys()],
  };
}

async function inspectBlob(image: NydusImage, blob: Blob, options: ReadOptions): Promise<InspectedBlob> {
  const known = {
    ...blob,
    features: namesOfBits(blob.features, BLOB_FEATURES),
    tocDigest: blob.tocDigest && toHex(blob.tocDigest),
  };
  try {
    const size = await image.source.size(blob.id, options);
    const { sections } = await findBlobSections(size, (offset, length) =>
      image.source.read(blob.id, offset, length, options),
    );
    const rows = [...sections].map(([name, { digest: _, ...section }]) => ({ name, ...section }));
    return { ...known, fileSize: size, sections: rows, unreadable: undefined };
  } catch (error) {
    if (!isCoded(error) || error.code === "ERR_ABORTED") throw error;
    return { ...known, fileSize: undefined, sections: [], unreadable: `${error.message} [${error.code}]` };
  }
}

function namesOfBits(bits: number, names: Readonly<Record<string, number>>): string[] {
  const found = Object.entries(names).filter(([, bit]) => (bits & bit) !== 0);
  const known = found.reduce((sum, [, bit]) => (sum | bit) >>> 0, 0);
  const rest = (bits & ~known) >>> 0;
  return [...found.map(([name]) => name), ...(rest === 0 ? [] : [`0x${rest.toString(16)}`])];
}
