import { digestHex } from "../base/digest.ts";
import { isNydusBlobLayer, isNydusBootstrapLayer, NYDUS_FS_VERSION } from "../format/oci/annotations.ts";
import type { ImageConfig } from "../format/oci/image-config.ts";
import { NYDUS_BLOB } from "../format/oci/media-types.ts";
import type { Bootstrap } from "../image/bootstrap.ts";
import type { NydusManifest } from "./select-nydus-manifest.ts";

/**
 * What is wrong with the manifest of a Nydus image, one line each: what `nydusify check` wants of it.
 *
 * @param diffIds Of the image's configuration.
 */
export function manifestFaults(
  { manifest, bootstrapLayer }: NydusManifest,
  { diffIds }: Pick<ImageConfig, "diffIds">,
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
  if (diffIds.length !== layers.length) {
    faults.push(`configuration has ${diffIds.length} diff ids for ${layers.length} layers`);
  }
  const version = bootstrapLayer.annotations?.[NYDUS_FS_VERSION];
  if (version !== undefined && version !== String(bootstrap.fsVersion)) {
    faults.push(`bootstrap layer says RAFS version ${JSON.stringify(version)}, it is ${bootstrap.fsVersion}`);
  }
  const ids = new Set(layers.map(({ digest }) => digestHex(digest)));
  for (const { id } of bootstrap.blobs) if (!ids.has(id)) faults.push(`blob ${id} is not among the layers`);
  return faults;
}
