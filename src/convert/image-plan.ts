import type { Digest } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import type { Descriptor, Platform } from "../format/oci/descriptor.ts";
import { checkLayerCount, decodeImageConfig, type ImageConfig } from "../format/oci/image-config.ts";
import { encodeJson } from "../format/oci/json.ts";
import { OCI_CONFIG, OCI_MANIFEST } from "../format/oci/media-types.ts";
import { formatPlatform } from "../format/oci/platform.ts";
import type { ImageSource } from "../store/image-source.ts";
import { directoryLayer, type LayerInput, type LayerWatch, tarLayer } from "./convert-layer.ts";
import type { DirectoryReaderOptions } from "./directory-reader.ts";
import { checkPlatform, type PlatformChoice, type SelectedManifest } from "./select-manifests.ts";

/** A layer to convert. */
export interface LayerPlan {
  /** Layers with the same key are the same bytes and are converted once. */
  readonly key: string;
  /** Absent for a directory. */
  readonly digest: Digest | undefined;
  /** Stored bytes; 0 when not known. */
  readonly size: number;
  readonly input: (watch: LayerWatch) => LayerInput;
}

/** An image to convert: what its manifest will say, and its layers, lowest first. */
export interface ImagePlan {
  readonly platform: Platform;
  /** What an index says of the image; the platform of its configuration where there is no index. */
  readonly indexPlatform: Platform;
  readonly manifestType: string;
  readonly configType: string;
  /** What the manifest calls itself beside originals; absent where it has the name alone. */
  readonly artifactType?: string;
  readonly config: ImageConfig;
  readonly annotations: Readonly<Record<string, string>>;
  /** Absent for a directory. */
  readonly sourceDigest: Digest | undefined;
  /** Bytes of manifest, configuration and layers; 0 when not known. */
  readonly sourceSize: number;
  readonly layers: readonly LayerPlan[];
}

/**
 * Plans the conversion of one manifest; reads its configuration.
 *
 * @throws {CodedError} ERR_IMAGE_INVALID, ERR_IMAGE_NOT_FOUND when the platform is not a wanted one,
 *   ERR_FEATURE_UNSUPPORTED for Windows, and what the source throws.
 */
export async function planImage(
  source: ImageSource,
  { descriptor, manifest, platform }: SelectedManifest,
  choice: PlatformChoice,
  signal: AbortSignal,
): Promise<ImagePlan> {
  const what = `configuration of ${source.name}`;
  const config = decodeImageConfig(await source.readDocument(manifest.config, { signal }), what);
  checkLayerCount(config, manifest.layers.length);
  if (platform === undefined) checkPlatform(choice, config.platform, source.name);
  if (config.platform.os === "windows") {
    throw new CodedError(
      "ERR_FEATURE_UNSUPPORTED",
      `${source.name} is for Windows, which cannot be converted`,
    );
  }
  const layers = manifest.layers.map((layer, index) => planTarLayer(source, layer, config.diffIds[index]));
  const layersSize = manifest.layers.reduce((sum, layer) => sum + layer.size, 0);
  return {
    platform: config.platform,
    indexPlatform: platform ?? config.platform,
    manifestType: manifest.mediaType,
    configType: manifest.config.mediaType,
    config,
    annotations: manifest.annotations ?? {},
    sourceDigest: descriptor.digest,
    sourceSize: descriptor.size + manifest.config.size + layersSize,
    layers,
  };
}

function planTarLayer(source: ImageSource, layer: Descriptor, diffId: Digest | undefined): LayerPlan {
  if (diffId === undefined) throw new TypeError("a layer without a diff id");
  return {
    key: diffId,
    digest: layer.digest,
    size: layer.size,
    input: (watch) => tarLayer(source, layer, diffId, watch),
  };
}

/** Plans an image of one layer out of a directory. */
export function planDirectory(
  path: string,
  platform: Platform,
  readXattrs: DirectoryReaderOptions["readXattrs"],
): ImagePlan {
  // Without a creation time: the same directory gives the same digest.
  const document = { ...platform, config: {}, rootfs: { type: "layers", diff_ids: [] }, history: [] };
  const base = decodeImageConfig(encodeJson(document), "configuration");
  return {
    platform,
    indexPlatform: platform,
    manifestType: OCI_MANIFEST,
    configType: OCI_CONFIG,
    config: { ...base, history: [{ created_by: "nydus-convert of a directory" }] },
    annotations: {},
    sourceDigest: undefined,
    sourceSize: 0,
    layers: [
      { key: path, digest: undefined, size: 0, input: (watch) => directoryLayer(path, watch, readXattrs) },
    ],
  };
}

/** `os/arch[/variant]`, for people. */
export function platformName(plan: ImagePlan): string {
  return formatPlatform(plan.platform);
}
