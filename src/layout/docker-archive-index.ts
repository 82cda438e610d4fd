import { CodedError } from "../base/errors.ts";
import { invalidField, listField, stringField } from "../format/oci/fields.ts";
import { decodeJsonObject, isJsonObject } from "../format/oci/json.ts";
import { MAX_DOCUMENT_SIZE, MAX_INDEX_MANIFESTS, MAX_LAYERS } from "../format/oci/limits.ts";
import { formatReference, parseReference, type Reference } from "../format/oci/reference.ts";

/** One image of a `docker save` archive. Paths are members of the archive. */
export interface DockerArchiveImage {
  readonly config: string;
  readonly layers: readonly string[];
  /** Names as docker writes them: `debian:bookworm`. */
  readonly tags: readonly string[];
}

const MAX_PATH = 4096;
const MAX_TAGS = 4096;

/**
 * Reads the manifest.json of a `docker save` archive.
 *
 * @throws {CodedError} ERR_IMAGE_INVALID with the field that is wrong, ERR_LIMIT_EXCEEDED.
 * @see moby image/spec v1.2, "Combined Image JSON + Filesystem Changeset Format"
 */
export function decodeDockerArchiveIndex(bytes: Uint8Array, place: string): readonly DockerArchiveImage[] {
  const what = `manifest.json of ${place}`;
  // The document is a list; the reader of objects bounds size and depth for it.
  const wrapped = Buffer.concat([Buffer.from('{"images":'), bytes, Buffer.from("}")]);
  const { images } = decodeJsonObject(wrapped, what, MAX_DOCUMENT_SIZE);
  return listField(images, what, MAX_INDEX_MANIFESTS).map((row, index) => {
    const where = `${what}[${index}]`;
    if (!isJsonObject(row)) throw invalidField(where, "an object", row);
    const { Config, Layers, RepoTags } = row;
    return {
      config: stringField(Config, `${where}.Config`, MAX_PATH),
      layers: listField(Layers, `${where}.Layers`, MAX_LAYERS).map((layer, position) =>
        stringField(layer, `${where}.Layers[${position}]`, MAX_PATH),
      ),
      tags: listField(RepoTags, `${where}.RepoTags`, MAX_TAGS).map((tag, position) =>
        stringField(tag, `${where}.RepoTags[${position}]`, MAX_PATH),
      ),
    };
  });
}

/**
 * Finds the image of a reference; without one, the only image.
 *
 * @throws {CodedError} ERR_IMAGE_NOT_FOUND when there is none or more than one.
 */
export function findDockerImage(
  images: readonly DockerArchiveImage[],
  reference: Reference | undefined,
  place: string,
): DockerArchiveImage {
  const wanted = reference === undefined ? undefined : formatReference(reference);
  const found =
    wanted === undefined ? images : images.filter(({ tags }) => tags.some((tag) => fullName(tag) === wanted));
  const [image] = found;
  if (image !== undefined && found.length === 1) return image;
  const tags = images.flatMap((one) => one.tags).slice(0, 20);
  throw new CodedError(
    "ERR_IMAGE_NOT_FOUND",
    `${place} has ${found.length} images of that name, one is needed: it has ${images.length}${
      tags.length === 0 ? "" : ` (${tags.join(", ")})`
    }`,
  );
}

function fullName(tag: string): string | undefined {
  try {
    return formatReference(parseReference(tag));
  } catch {
    return undefined;
  }
}
