import { CodedError } from "../base/errors.ts";
import { isNydusBootstrapLayer, isNydusManifestRow } from "../format/oci/annotations.ts";
import type { Descriptor, Platform } from "../format/oci/descriptor.ts";
import { decodeManifest, type ImageIndex, type Manifest } from "../format/oci/manifest.ts";
import { isIndexType, isManifestType, layerCompressionOf } from "../format/oci/media-types.ts";
import { formatPlatform, platformFit, rowsForPlatform } from "../format/oci/platform.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import type { ImageSource } from "../store/image-source.ts";

/** Which images of an index to convert. */
export interface PlatformChoice {
  /** `all`, or at least one platform. */
  readonly wanted: "all" | readonly Platform[];
  /** Whether the user named the platforms; a lone manifest of another platform is then refused. */
  readonly isExplicit: boolean;
}

/** One image to convert. */
export interface SelectedManifest {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  /** The manifest as it is stored. */
  readonly bytes: Uint8Array;
  /** What the index says; absent for a lone manifest. */
  readonly platform: Platform | undefined;
}

/** The images to convert, in the order of the wanted platforms or of the index. */
export interface Selection {
  readonly manifests: readonly SelectedManifest[];
  /** Media type of the source's index; absent for a lone manifest. */
  readonly indexType: string | undefined;
  /** Platforms of the index that cannot be converted (Windows). */
  readonly skipped: readonly Platform[];
}

/** An index may name an index, as buildx has done; deeper nesting has no use. */
const MAX_INDEX_DEPTH = 3;

/**
 * Finds the manifests of the wanted platforms. Only they are read, not the ones of other platforms.
 *
 * @throws {CodedError} ERR_IMAGE_NOT_FOUND when a wanted platform is not there, ERR_OPTION_INVALID when
 *   the image is a Nydus image already, ERR_FEATURE_UNSUPPORTED for Windows, ERR_IMAGE_INVALID when it
 *   is not an image of tar layers, and what the source throws.
 */
export async function selectManifests(
  source: ImageSource,
  choice: PlatformChoice,
  options: ReadOptions,
): Promise<Selection> {
  const top = await source.resolve(options);
  const document = decodeManifest(top.bytes, top.descriptor.mediaType, source.name);
  if (document.kind === "manifest") {
    checkConvertible(document, source.name);
    const selected = { ...top, manifest: document, platform: undefined };
    return { manifests: [selected], indexType: undefined, skipped: [] };
  }
  const rows = await flattenIndex(source, document, options);
  const originals = rows.filter((row) => !isNydusManifestRow(row));
  if (originals.length === 0 && rows.length > 0) throw alreadyNydus(source.name);
  const { chosen, skipped } =
    choice.wanted === "all"
      ? chooseAll(originals, source.name)
      : { chosen: choice.wanted.map((wanted) => chooseOne(originals, wanted, source.name)), skipped: [] };
  const manifests: SelectedManifest[] = [];
  for (const row of chosen) {
    if (manifests.some(({ descriptor }) => descriptor.digest === row.digest)) continue;
    const bytes = await source.readDocument(row, options);
    const manifest = decodeManifest(bytes, row.mediaType, source.name);
    if (manifest.kind !== "manifest") {
      throw new CodedError("ERR_IMAGE_INVALID", `${row.digest} of ${source.name} is not an image manifest`);
    }
    checkConvertible(manifest, source.name);
    manifests.push({ descriptor: row, manifest, bytes, platform: row.platform });
  }
  return { manifests, indexType: document.mediaType, skipped };
}

/**
 * Checks a lone manifest against the platforms the user named.
 *
 * @param offered Platform of the image's configuration.
 * @throws {CodedError} ERR_IMAGE_NOT_FOUND when it is none of them.
 */
export function checkPlatform(choice: PlatformChoice, offered: Platform, name: string): void {
  if (choice.wanted === "all" || !choice.isExplicit) return;
  for (const wanted of choice.wanted) {
    if (platformFit(wanted, offered) > 0) continue;
    throw new CodedError(
      "ERR_IMAGE_NOT_FOUND",
      `${name} is for ${formatPlatform(offered)} only, not ${formatPlatform(wanted)}`,
    );
  }
}

/**
 * The image manifests that an index names, also through nested indexes, in order.
 *
 * @param depth Indexes that may be nested into each other.
 * @throws {CodedError} ERR_LIMIT_EXCEEDED when more are, and what the source throws.
 */
export async function flattenIndex(
  source: ImageSource,
  index: ImageIndex,
  options: ReadOptions,
  depth = MAX_INDEX_DEPTH,
): Promise<Descriptor[]> {
  const rows: Descriptor[] = [];
  for (const row of index.manifests) {
    if (isManifestType(row.mediaType)) {
      rows.push(row);
    } else if (isIndexType(row.mediaType)) {
      if (depth === 1) {
        throw new CodedError("ERR_LIMIT_EXCEEDED", `${source.name} nests over ${MAX_INDEX_DEPTH} indexes`);
      }
      const bytes = await source.readDocument(row, options);
      const inner = decodeManifest(bytes, row.mediaType, source.name);
      if (inner.kind === "index") rows.push(...(await flattenIndex(source, inner, options, depth - 1)));
    }
  }
  return rows;
}

function chooseAll(
  rows: readonly Descriptor[],
  name: string,
): { chosen: readonly Descriptor[]; skipped: readonly Platform[] } {
  const chosen: Descriptor[] = [];
  const skipped: Platform[] = [];
  for (const row of rows) {
    // Attestations of buildx are manifests of the platform unknown/unknown.
    if (row.platform?.os === "unknown") continue;
    if (row.platform?.os === "windows") skipped.push(row.platform);
    else chosen.push(row);
  }
  if (chosen.length === 0) throw new CodedError("ERR_IMAGE_NOT_FOUND", `${name} has no image to convert`);
  return { chosen, skipped };
}

function chooseOne(rows: readonly Descriptor[], wanted: Platform, name: string): Descriptor {
  if (wanted.os === "windows") {
    throw new CodedError("ERR_FEATURE_UNSUPPORTED", "images of Windows cannot be converted");
  }
  const [row] = rowsForPlatform(rows, wanted);
  if (row !== undefined) return row;
  const offered = rows.flatMap(({ platform }) => (platform === undefined ? [] : [formatPlatform(platform)]));
  throw new CodedError(
    "ERR_IMAGE_NOT_FOUND",
    `${name} has no image for ${formatPlatform(wanted)}, only for ${offered.join(", ") || "no platform"}`,
  );
}

function checkConvertible(manifest: Manifest, name: string): void {
  if (manifest.layers.some(isNydusBootstrapLayer)) throw alreadyNydus(name);
  for (const [index, layer] of manifest.layers.entries()) {
    if (layerCompressionOf(layer.mediaType) === undefined) {
      throw new CodedError(
        "ERR_IMAGE_INVALID",
        `layer ${index} of ${name} is of type ${JSON.stringify(layer.mediaType)}, not a tar layer`,
      );
    }
  }
}

function alreadyNydus(name: string): CodedError {
  return new CodedError("ERR_OPTION_INVALID", `${name} is a Nydus image already`);
}
