import { type ImageStatistics, imageStatistics } from "../image/image-statistics.ts";
import type { NydusImage } from "./nydus-image.ts";

/** What `nydus-convert stat` prints. Sizes are bytes. */
export interface ImageStat extends ImageStatistics {
  readonly name: string;
  readonly fsVersion: 5 | 6;
  readonly bootstrapSize: number;
  /** Blobs and bootstrap layer as the manifest lists them; absent without a manifest. */
  readonly layersSize: number | undefined;
}

/** Counts what an image is made of. No blob is read. */
export function statImage(image: NydusImage): ImageStat {
  const { bootstrap, bootstrapBytes, name, selected } = image;
  return {
    name,
    fsVersion: bootstrap.fsVersion,
    bootstrapSize: bootstrapBytes.length,
    layersSize: selected?.manifest.layers.reduce((sum, { size }) => sum + size, 0),
    ...imageStatistics(bootstrap),
  };
}
