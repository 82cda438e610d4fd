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

/** What of the layers was written and what was there already. */
export interface PublishedBlobs {
  readonly writtenBlobs: number;
  readonly writtenSize: number;
  readonly presentBlobs: number;
  readonly presentSize: number;
}

/**
 * Writes images to a target: layers, then configurations, then manifests, the one that gets the
 * image's name last. Nothing shows under that name before everything it needs is there. A blob that the target has
 * is not written again, so that a run that was killed is continued by the next one.
 *
 * @param index Names all the images; without it there must be one, and its manifest gets the name.
 * @throws {CodedError} what the target throws.
 */
export async function publishImages(
  target: ImageTarget,
  images: readonly PublishedImage[],
  index: StoredManifest | undefined,
  options: PublishOptions,
): Promise<PublishedBlobs> {
  const { signal, onEvent } = options;
  const run = limit(options.jobs);
  const published = { writtenBlobs: 0, writtenSize: 0, presentBlobs: 0, presentSize: 0 };
  const layers = new Map<string, Publication>();
  for (const image of images) for (const layer of image.layers) layers.set(layer.descriptor.digest, layer);
  const sizes = [...layers.values()].map(({ descriptor }) => descriptor.size);
  const size = sizes.reduce((total, one) => total + one, 0);
  onEvent({ type: "publish-started", blobs: layers.size, size });
  const writes = [...layers.values()].map(
    (layer) => (either: AbortSignal) =>
      run(async () => {
        throwIfAborted(either);
        const { digest, size } = layer.descriptor;
        const isPresent = await target.hasBlob(layer.descriptor, { signal: either });
        const options = { signal: either, mountFrom: layer.mountFrom };
        if (!isPresent) await target.writeBlob(layer.descriptor, metered(layer, onEvent), options);
        published[isPresent ? "presentBlobs" : "writtenBlobs"]++;
        published[isPresent ? "presentSize" : "writtenSize"] += size;
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
  return published;
}

/** Opens the bytes of a publication and tells how many of them were taken. */
function metered({ descriptor, open }: Publication, onEvent: PublishOptions["onEvent"]): Publication["open"] {
  const { digest, size } = descriptor;
  return async function* () {
    let done = 0;
    for await (const piece of open()) {
      yield piece;
      done += piece.length;
      onEvent({ type: "blob-progress", digest, done, size });
    }
  };
}
