import type { Descriptor } from "../format/oci/descriptor.ts";
import { encodeManifest } from "../format/oci/manifest.ts";
import { NYDUS_CONFIG, NYDUS_MANIFEST_ARTIFACT, OCI_INDEX, OCI_MANIFEST } from "../format/oci/media-types.ts";
import type { ImageSource, StoredManifest } from "../store/image-source.ts";
import { digestOf } from "../store/verified-stream.ts";
import type { ImagePlan } from "./image-plan.ts";
import type { Publication, PublishedImage } from "./publish.ts";
import type { SelectedManifest } from "./select-manifests.ts";

/**
 * The plan of an image that will stand beside its original in one index. Its types are nydusify's, by which readers
 * of Nydus find it and others pass it by; they are OCI's also where the original is Docker's, whose types have no
 * word for such a mark.
 *
 * @see rafs-format 3.12
 */
export function besideOriginal(plan: ImagePlan): ImagePlan {
  return {
    ...plan,
    manifestType: OCI_MANIFEST,
    configType: NYDUS_CONFIG,
    artifactType: NYDUS_MANIFEST_ARTIFACT,
  };
}

/** An original image, byte for byte as its source has it; what the target lacks of it is read again. */
export function originalImage(
  source: ImageSource,
  { descriptor, manifest, bytes, platform }: SelectedManifest,
  signal: AbortSignal,
): PublishedImage {
  const { mediaType, digest, size } = descriptor;
  const mountFrom = source.repository;
  return {
    layers: manifest.layers.map(
      (layer): Publication => ({
        descriptor: layer,
        open: () => source.openBlob(layer, { signal }),
        mountFrom,
      }),
    ),
    config: {
      descriptor: manifest.config,
      open: () => readConfig(source, manifest.config, signal),
      mountFrom,
    },
    // The row of an index stays as it is; where the name led here, its annotations are about the name.
    manifest: { descriptor: platform === undefined ? { mediaType, digest, size } : descriptor, bytes },
  };
}

async function* readConfig(
  source: ImageSource,
  config: Descriptor,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield await source.readDocument(config, { signal });
}

/** The index of converted images, one row for each platform. */
export function indexOf(
  plans: readonly ImagePlan[],
  converted: readonly PublishedImage[],
  mediaType: string,
): StoredManifest {
  return storedIndex(mediaType, rowsOf(plans, converted));
}

/**
 * The index under which one name stands for originals and Nydus images. The originals come first: who does not know
 * the mark takes the first row of a platform.
 *
 * @param originals By the plans, as `converted` is.
 */
export function mergedIndex(
  plans: readonly ImagePlan[],
  originals: readonly PublishedImage[],
  converted: readonly PublishedImage[],
): StoredManifest {
  const marked = rowsOf(plans, converted).map((row) => ({ ...row, artifactType: NYDUS_MANIFEST_ARTIFACT }));
  return storedIndex(OCI_INDEX, [...rowsOf(plans, originals), ...marked]);
}

function rowsOf(plans: readonly ImagePlan[], images: readonly PublishedImage[]): Descriptor[] {
  return images.map(({ manifest }, position) => {
    const platform = plans[position]?.indexPlatform;
    return { ...manifest.descriptor, ...(platform !== undefined && { platform }) };
  });
}

function storedIndex(mediaType: string, manifests: readonly Descriptor[]): StoredManifest {
  const bytes = encodeManifest({ kind: "index", mediaType, manifests });
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}
