import { isDeepStrictEqual } from "node:util";
import { digestHex } from "../base/digest.ts";
import { isNydusBlobLayer, isNydusBootstrapLayer, NYDUS_FS_VERSION } from "../format/oci/annotations.ts";
import type { Platform } from "../format/oci/descriptor.ts";
import type { ImageConfig } from "../format/oci/image-config.ts";
import { isJsonObject } from "../format/oci/json.ts";
import { NYDUS_BLOB } from "../format/oci/media-types.ts";
import { formatPlatform } from "../format/oci/platform.ts";
import { BLOB_FEATURES } from "../format/rafs/features.ts";
import type { Bootstrap } from "../image/bootstrap.ts";
import type { NydusManifest } from "./select-nydus-manifest.ts";

/**
 * What is wrong with the manifest of a Nydus image, one line each: what `nydusify check` wants of it, and that
 * it names every blob of the bootstrap.
 */
export function manifestFaults(
  { manifest, bootstrapLayer }: NydusManifest,
  bootstrap: Pick<Bootstrap, "blobs" | "fsVersion">,
): string[] {
  const faults: string[] = [];
  const { layers } = manifest;
  for (const [index, layer] of layers.entries()) {
    if (layer === bootstrapLayer) continue;
    if (isNydusBootstrapLayer(layer))
      faults.push(`layer ${index} is marked as bootstrap but is not the last`);
    if (layer.mediaType !== NYDUS_BLOB || !isNydusBlobLayer(layer)) {
      faults.push(`layer ${index} is of type ${JSON.stringify(layer.mediaType)}, not a marked Nydus blob`);
    }
  }
  for (const annotations of [bootstrapLayer.annotations, manifest.annotations]) {
    const version = annotations?.[NYDUS_FS_VERSION];
    if (version !== undefined && version !== String(bootstrap.fsVersion)) {
      faults.push(`manifest says RAFS version ${JSON.stringify(version)}, it is ${bootstrap.fsVersion}`);
    }
  }
  const ids = new Set(layers.map(({ digest }) => digestHex(digest)));
  for (const { id, features } of bootstrap.blobs) {
    // The chunks of a zran blob are in a layer of the original image.
    const isElsewhere = (features & BLOB_FEATURES.ZRAN) !== 0;
    if (!ids.has(id) && !isElsewhere) faults.push(`blob ${id} is not among the layers`);
  }
  return faults;
}

/**
 * What is wrong with the configuration of a Nydus image beside its manifest, one line each.
 *
 * @param bootstrapDiffId Digest of the uncompressed bootstrap layer.
 */
export function configFaults(
  config: ImageConfig,
  { descriptor, manifest, bootstrapLayer }: NydusManifest,
  bootstrapDiffId: string,
): string[] {
  const faults: string[] = [];
  const { layers } = manifest;
  const { diffIds, document, platform } = config;
  if (diffIds.length !== layers.length) {
    faults.push(`configuration has ${diffIds.length} diff ids for ${layers.length} layers`);
  } else {
    for (const [index, layer] of layers.entries()) {
      // A blob is no tar: every converter writes its own digest as its diff id.
      const wanted = layer === bootstrapLayer ? bootstrapDiffId : layer.digest;
      if (diffIds[index] !== wanted) faults.push(`diff id ${index} is ${diffIds[index]}, not ${wanted}`);
    }
  }
  const rootfs = document["rootfs"];
  const type = isJsonObject(rootfs) ? rootfs["type"] : undefined;
  if (type !== "layers") faults.push(`configuration has a rootfs of type ${JSON.stringify(type)}`);
  for (const field of ["os", "architecture"] as const) {
    if (typeof document[field] !== "string" || document[field] === "") {
      faults.push(`configuration has no ${field}`);
    }
  }
  if (descriptor.platform !== undefined && !isSamePlatform(descriptor.platform, platform)) {
    const said = formatPlatform(descriptor.platform);
    faults.push(`configuration is for ${formatPlatform(platform)}, the index says ${said}`);
  }
  return faults;
}

/**
 * Whether the history of a configuration names a step for each layer. Some builders leave it out, and then the
 * converter's own step is alone there.
 */
export function isHistoryWhole({ history, diffIds }: ImageConfig): boolean {
  const steps = history.filter(({ empty_layer }) => empty_layer !== true).length;
  return history.length <= 1 || steps === diffIds.length;
}

/** In what a configuration differs from that of the image it was made from, one line each. */
export function configDifferences(original: ImageConfig, found: ImageConfig): string[] {
  const differences: string[] = [];
  for (const field of RUNTIME_FIELDS) {
    if (!isDeepStrictEqual(original.document[field], found.document[field])) {
      differences.push(`has another ${field} than the original`);
    }
  }
  const kept = found.history.slice(0, original.history.length);
  if (!isDeepStrictEqual(kept, original.history)) differences.push("has another history than the original");
  return differences;
}

/** What a container is run with. */
const RUNTIME_FIELDS = ["config", "architecture", "os", "variant", "os.version", "os.features"] as const;

/** An index need not repeat the variant. */
function isSamePlatform(row: Platform, config: Platform): boolean {
  return (
    row.os === config.os &&
    row.architecture === config.architecture &&
    (row.variant === undefined || config.variant === undefined || row.variant === config.variant)
  );
}
