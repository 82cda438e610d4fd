import { equalBytes, toHex } from "../base/bytes.ts";
import { digestFromHex, digestHex } from "../base/digest.ts";
import { type CodedError, isCoded } from "../base/errors.ts";
import { createSha256, digestChunk } from "../codec/digest.ts";
import { decompressLayer } from "../codec/layer-stream.ts";
import { decodeBlobMetaFile } from "../format/blob/blob-meta-file.ts";
import type { Descriptor, Platform } from "../format/oci/descriptor.ts";
import { decodeImageConfig, type ImageConfig } from "../format/oci/image-config.ts";
import { checkBootstrap } from "../image/check.ts";
import { checkChunkInformation } from "../image/check-chunk-information.ts";
import type { Blob } from "../image/chunk.ts";
import { rowDifferences } from "../image/row-differences.ts";
import type { LsRow } from "../image/tree-rows.ts";
import type { CacheableBlob } from "../store/chunk-cache.ts";
import type { ImageSource } from "../store/image-source.ts";
import { readBlobMeta } from "./blob-meta.ts";
import { checkBlob } from "./check-blob.ts";
import { type CheckFinding, CheckFindings, MAX_FINDINGS_PER_PLACE } from "./check-findings.ts";
import { configDifferences, configFaults, isHistoryWhole, manifestFaults } from "./check-manifest.ts";
import { listImage } from "./list-image.ts";
import type { NydusImage } from "./nydus-image.ts";
import { type LocatedImage, openLocatedImage } from "./open-nydus-image.ts";
import { readOriginal } from "./original-tree.ts";

export type { CheckFinding } from "./check-findings.ts";

/** How an image is checked. */
export interface CheckOptions {
  readonly signal: AbortSignal;
  /** Look at manifest, bootstrap and chunk tables only. @default false */
  readonly metadataOnly?: boolean;
  /** The ordinary image to compare with. @default none */
  readonly original?: ImageSource;
  /** Of the original. */
  readonly platform: Platform;
  readonly onFinding: (finding: CheckFinding) => void;
  /** Told what is looked at. */
  readonly onProgress: (what: string) => void;
}

/** What a check came to. */
export interface CheckSummary {
  readonly errors: number;
  readonly warnings: number;
  readonly names: number;
  readonly blobs: number;
  /** Chunks that were read and are what their digests say. */
  readonly verifiedChunks: number;
  /** Chunks that were read but that no digest proves. */
  readonly unverifiedChunks: number;
  /** Stored bytes of the blobs that were read. */
  readonly storedBytes: number;
  /** Exit status. */
  readonly exit: 0 | 4 | 5;
}

/**
 * Checks all of an image: manifest, bootstrap, chunk tables, every chunk, every blob, and the tree against
 * an original. Of an image whose chunks this release does not read, it checks all the rest.
 *
 * @throws {CodedError} ERR_FEATURE_UNSUPPORTED naming the feature, when nothing else is wrong with the image;
 *   ERR_OPTION_INVALID, and what sources throw when they cannot be reached. What is wrong with the image is a
 *   finding.
 */
export async function checkImage(located: LocatedImage, options: CheckOptions): Promise<CheckSummary> {
  const findings = new CheckFindings(options.onFinding);
  options.onProgress(`bootstrap of ${located.name}`);
  const { image, unsupported } = openOrFind(located, findings);
  const totals = { blobs: 0, verifiedChunks: 0, unverifiedChunks: 0, storedBytes: 0 };
  let names = 0;
  if (image !== undefined) {
    const isReadable = unsupported === undefined;
    const config = await checkManifest(image, findings, options);
    const blobs = isReadable ? await loadTables(image, findings, options) : [];
    if (options.metadataOnly !== true) {
      const read = await checkBlobs(image, blobs, findings, options, totals);
      await checkOtherLayers(image, read, findings, options);
    }
    const withContents = options.metadataOnly !== true && isReadable;
    names = await checkNames(image, config, withContents, findings, options);
  }
  if (unsupported !== undefined) {
    if (findings.errors === 0) throw unsupported;
    findings.add(unsupported.code, "bootstrap", unsupported.message);
  }
  const { errors, warnings, exit } = findings;
  return { errors, warnings, names, ...totals, exit };
}

/** @returns The image as far as it can be read, and what of it this release does not read. */
function openOrFind(
  located: LocatedImage,
  findings: CheckFindings,
): { image: NydusImage | undefined; unsupported: CodedError | undefined } {
  let image: NydusImage | undefined;
  let failure: unknown;
  let unsupported: CodedError | undefined;
  try {
    image = openLocatedImage(located);
  } catch (error) {
    if (isCoded(error, "ERR_OPTION_INVALID")) throw error;
    failure = error;
    if (isCoded(error, "ERR_FEATURE_UNSUPPORTED")) {
      unsupported = error;
      image = openLocatedImage(located, { allowUnsupported: true });
    }
  }
  const found = checkBootstrap(located.bootstrapBytes, { digest: digestChunk });
  // The bootstrap does not know the blob it is part of, but here the user or the file's name said it.
  const told = found.filter(
    ({ code }) =>
      code !== "feature-unsupported" && (code !== "blob-id-placeholder" || located.blobId === undefined),
  );
  findings.addAll(told.map((finding) => ({ ...finding, where: `bootstrap: ${finding.where}` })));
  if (image === undefined && findings.errors === 0) findings.addError(failure, "bootstrap");
  return { image, unsupported };
}

async function checkManifest(
  { selected, imageSource, bootstrap }: NydusImage,
  findings: CheckFindings,
  { signal }: CheckOptions,
): Promise<ImageConfig | undefined> {
  if (selected === undefined || imageSource === undefined) return undefined;
  for (const fault of manifestFaults(selected, bootstrap)) {
    findings.add("ERR_IMAGE_INVALID", "manifest", fault);
  }
  try {
    const config = decodeImageConfig(await imageSource.readDocument(selected.manifest.config, { signal }));
    const diffId = await diffIdOf(imageSource.openBlob(selected.bootstrapLayer, { signal }));
    for (const fault of configFaults(config, selected, diffId)) {
      findings.add("ERR_IMAGE_INVALID", "configuration", fault);
    }
    if (!isHistoryWhole(config)) {
      findings.warn("ERR_IMAGE_INVALID", "configuration", "has a history of other layers than it has");
    }
    return config;
  } catch (error) {
    findings.addError(error, "configuration");
    return undefined;
  }
}

/** Digest of a layer's uncompressed bytes. */
async function diffIdOf(layer: AsyncIterable<Uint8Array>): Promise<string> {
  const sha256 = createSha256();
  for await (const piece of decompressLayer(layer)) sha256.update(piece);
  return digestFromHex(toHex(sha256.digest()));
}

/** Reads the layers that no blob of the bootstrap was read from: what is pulled must be what it is named. */
async function checkOtherLayers(
  { selected, imageSource }: NydusImage,
  read: ReadonlySet<string>,
  findings: CheckFindings,
  options: CheckOptions,
): Promise<void> {
  if (selected === undefined || imageSource === undefined) return;
  const seen = new Set(read);
  for (const layer of selected.manifest.layers) {
    if (layer === selected.bootstrapLayer || seen.has(digestHex(layer.digest))) continue;
    seen.add(digestHex(layer.digest));
    options.onProgress(`layer ${layer.digest}`);
    try {
      for await (const _ of imageSource.openBlob(layer, options));
    } catch (error) {
      findings.addError(error, `layer ${layer.digest}`);
    }
  }
}

/** The chunk table of every blob; absent where it cannot be read. */
async function loadTables(
  image: NydusImage,
  findings: CheckFindings,
  options: CheckOptions,
): Promise<(CacheableBlob | undefined)[]> {
  const blobs: (CacheableBlob | undefined)[] = [];
  for (const [index, blob] of image.bootstrap.blobs.entries()) {
    const where = `blob ${blob.id}`;
    options.onProgress(`chunk table of ${where}`);
    let loaded: CacheableBlob | undefined;
    try {
      loaded = await image.loadBlob(index, options);
      const { metaBytes, table } = loaded;
      // RAFS v5 has its chunks in the inodes alone.
      if (metaBytes !== undefined) {
        const { header } = decodeBlobMetaFile(metaBytes);
        findings.addAll(checkChunkInformation(where, blob, header, table));
        if (options.metadataOnly !== true) await checkOwnTable(image, blob, metaBytes, findings, options);
      }
    } catch (error) {
      findings.addError(error, where);
    }
    blobs.push(loaded);
  }
  return blobs;
}

/** Where the bootstrap layer has the table, our readers never see the blob's own, but nydusd does. */
async function checkOwnTable(
  image: NydusImage,
  blob: Blob,
  metaBytes: Uint8Array,
  findings: CheckFindings,
  options: CheckOptions,
): Promise<void> {
  const own = decodeBlobMetaFile(await readBlobMeta(image.source, blob, options));
  if (equalBytes(own.chunkInformation, decodeBlobMetaFile(metaBytes).chunkInformation)) return;
  findings.add("ERR_BLOB_CORRUPT", `blob ${blob.id}`, "has other chunk information than the bootstrap layer");
}

/** @returns Ids of the blobs that were read from start to end. */
async function checkBlobs(
  image: NydusImage,
  blobs: readonly (CacheableBlob | undefined)[],
  findings: CheckFindings,
  options: CheckOptions,
  totals: { blobs: number; verifiedChunks: number; unverifiedChunks: number; storedBytes: number },
): Promise<ReadonlySet<string>> {
  const read = new Set<string>();
  const layers = new Map<string, Descriptor>(
    image.selected?.manifest.layers.map((layer) => [digestHex(layer.digest), layer]),
  );
  for (const [index, chunked] of blobs.entries()) {
    const blob = image.bootstrap.blobs[index];
    if (blob === undefined || chunked === undefined) continue;
    options.onProgress(`chunks of blob ${blob.id}`);
    try {
      const size = layers.get(blob.id)?.size;
      const checked = await checkBlob({ blob, chunked, size }, image.source, findings, options);
      read.add(blob.id);
      totals.blobs++;
      totals.verifiedChunks += checked.chunks - checked.unverified;
      totals.unverifiedChunks += checked.unverified;
      totals.storedBytes += checked.size;
      if (checked.unverified > 0) {
        const what = `${checked.unverified} of ${checked.chunks} chunks have no digest that proves them`;
        findings.warn("chunk-table-missing", `blob ${blob.id}`, what);
      }
    } catch (error) {
      findings.addError(error, `blob ${blob.id}`);
    }
  }
  return read;
}

/** @returns How many names the image has. */
async function checkNames(
  image: NydusImage,
  config: ImageConfig | undefined,
  withContents: boolean,
  findings: CheckFindings,
  options: CheckOptions,
): Promise<number> {
  const { original, signal } = options;
  const digest = original !== undefined && withContents;
  let found: readonly LsRow[];
  try {
    if (digest) options.onProgress(`files of ${image.name}`);
    found = await listImage(image, { digest, signal });
  } catch (error) {
    findings.addError(error, "files");
    return 0;
  }
  if (original !== undefined) await compareWith(original, found, config, withContents, findings, options);
  return found.length;
}

async function compareWith(
  original: ImageSource,
  found: readonly LsRow[],
  config: ImageConfig | undefined,
  withContents: boolean,
  findings: CheckFindings,
  options: CheckOptions,
): Promise<void> {
  options.onProgress(`layers of ${original.name}`);
  const { rows, config: originalConfig } = await readOriginal(original, options.platform, options);
  const wanted = withContents ? rows : rows.map(({ sha256: _, ...row }) => row);
  let told = 0;
  for (const { path, message } of rowDifferences(wanted, found)) {
    findings.add("ERR_IMAGE_DIFFERS", path, message);
    if (++told >= MAX_FINDINGS_PER_PLACE) break;
  }
  if (config === undefined) return;
  for (const difference of configDifferences(originalConfig, config)) {
    findings.add("ERR_IMAGE_DIFFERS", "configuration", difference);
  }
}
