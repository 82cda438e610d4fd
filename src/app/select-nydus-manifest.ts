import { CodedError } from "../base/errors.ts";
import { flattenIndex } from "../convert/select-manifests.ts";
import { isNydusBootstrapLayer, isNydusManifestRow } from "../format/oci/annotations.ts";
import type { Descriptor, Platform } from "../format/oci/descriptor.ts";
import { decodeManifest, type Manifest } from "../format/oci/manifest.ts";
import { formatPlatform, rowsForPlatform } from "../format/oci/platform.ts";
import type { ReadOptions } from "../store/blob-source.ts";
import type { ImageSource } from "../store/image-source.ts";

/** The manifest of one Nydus image. */
export interface NydusManifest {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  /** The layer with the bootstrap: the manifest's last. */
  readonly bootstrapLayer: Descriptor;
}

/**
 * Finds the manifest of a Nydus image. Of an index, rows that are marked as Nydus are tried first, then the
 * others of the platform.
 *
 * @param platform Which of an index is wanted; a lone manifest is taken whatever its platform.
 * @throws {CodedError} ERR_IMAGE_INVALID when the image is no Nydus image, ERR_IMAGE_NOT_FOUND when an
 *   index has nothing for the platform, and what the source throws.
 */
export async function selectNydusManifest(
  source: ImageSource,
  platform: Platform,
  options: ReadOptions,
): Promise<NydusManifest> {
  const top = await source.resolve(options);
  const document = decodeManifest(top.bytes, top.descriptor.mediaType, source.name);
  if (document.kind === "manifest") {
    const found = nydusManifest(top.descriptor, document);
    if (found === undefined) throw notNydus(source.name);
    return found;
  }
  const rows = candidates(await flattenIndex(source, document, options), platform);
  if (rows.length === 0) {
    throw new CodedError(
      "ERR_IMAGE_NOT_FOUND",
      `${source.name} has no image for ${formatPlatform(platform)}`,
    );
  }
  for (const row of rows) {
    const manifest = decodeManifest(await source.readDocument(row, options), row.mediaType, source.name);
    const found = manifest.kind === "manifest" ? nydusManifest(row, manifest) : undefined;
    if (found !== undefined) return found;
  }
  throw notNydus(`${source.name} for ${formatPlatform(platform)}`);
}

/** Rows that may be the wanted Nydus manifest, likeliest first. */
function candidates(rows: readonly Descriptor[], platform: Platform): readonly Descriptor[] {
  const marked = rows.filter(isNydusManifestRow);
  const plain = rows.filter((row) => !isNydusManifestRow(row));
  const fitting = [...rowsForPlatform(marked, platform), ...rowsForPlatform(plain, platform)];
  // A lone marked row without a platform can only be meant for all of them.
  const anywhere = marked.filter((row) => row.platform === undefined);
  return [...fitting, ...anywhere];
}

function nydusManifest(descriptor: Descriptor, manifest: Manifest): NydusManifest | undefined {
  const bootstrapLayer = manifest.layers.at(-1);
  if (bootstrapLayer === undefined || !isNydusBootstrapLayer(bootstrapLayer)) return undefined;
  return { descriptor, manifest, bootstrapLayer };
}

function notNydus(what: string): CodedError {
  return new CodedError("ERR_IMAGE_INVALID", `${what} is not a Nydus image: no layer is marked as bootstrap`);
}
