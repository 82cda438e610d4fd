import { throwIfAborted } from "../base/abort.ts";
import { limit } from "../base/limit.ts";
import type { Descriptor } from "../format/oci/descriptor.ts";
import type { ImageTarget, Repository, StoredManifest } from "../store/image-source.ts";
import { allOrNone } from "./all-or-none.ts";
import type { ConvertEvent } from "./convert-event.ts";

/** A blob to publish and how to open its bytes; opened again when a write is retried. */
export interface Publication {
  readonly descriptor: Descriptor;
  readonly open: () => AsyncIterable<Uint8Array>;
  /** Where the blob lies already: the `repository` of the source it comes from. @default nowhere that is known */
  readonly mountFrom?: Repository | undefined;
}

/** One manifest with everything it names. */
export interface PublishedImage {
  readonly layers: readonly Publication[];
  readonly config: Publication;
  readonly manifest: StoredManifest;
}

export interface PublishOptions {
  /** How many blobs are written at once. */
  readonly jobs: number;
  readonly signal: AbortSignal;
  readonly onEvent: (event: ConvertEvent) => void;
}

/**
 * Writes images to a target: layers, then configurations, then manifests, the one that gets the
 * image's name last. Nothing shows under that name before everything it needs is there.
 *
 * @param index Names all the images; without it there must be one, and its manifest gets the name.
 * @throws {CodedError} what the target throws.
 */
export async function publishImages(
  target: ImageTarget,
  images: readonly PublishedImage[],
  index: StoredManifest | undefined,
  options: PublishOptions,
): Promise<void> {
  const { signal, onEvent } = options;
  const run = limit(options.jobs);
  const layers = new Map<string, Publication>();
  for (const image of images) for (const layer of image.layers) layers.set(layer.descriptor.digest, layer);
  const writes = [...layers.values()].map(
    (layer) => (either: AbortSignal) =>
      run(async () => {
        throwIfAborted(either);
        const isPresent = await target.hasBlob(layer.descriptor, { signal: either });
        const options = { signal: either, mountFrom: layer.mountFrom };
        if (!isPresent) await target.writeBlob(layer.descriptor, layer.open, options);
        const { digest, size } = layer.descriptor;
        onEvent({ type: "blob-published", digest, size, isPresent });
      }),
  );
  await allOrNone(writes, signal);
  for (const { config } of images) {
    await target.writeBlob(config.descriptor, config.open, { signal, mountFrom: config.mountFrom });
  }
  for (const { manifest } of images) {
    await target.writeManifest(manifest, index === undefined, { signal });
  }
  if (index !== undefined) await target.writeManifest(index, true, { signal });
}
