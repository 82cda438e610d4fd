import { CodedError } from "../base/errors.ts";
import { REF_NAME } from "../format/oci/annotations.ts";
import type { Descriptor } from "../format/oci/descriptor.ts";
import { descriptorField, descriptorJson, listField } from "../format/oci/fields.ts";
import { decodeJsonObject, encodeJson, type JsonObject } from "../format/oci/json.ts";
import { MAX_DOCUMENT_SIZE, MAX_INDEX_MANIFESTS } from "../format/oci/limits.ts";
import { OCI_INDEX } from "../format/oci/media-types.ts";

/** The index.json of an OCI layout. Unknown fields are kept. */
export interface LayoutIndex {
  readonly rows: readonly LayoutRow[];
  readonly document: JsonObject;
}

/** One image of a layout. */
export interface LayoutRow {
  readonly descriptor: Descriptor;
  /** As it was read. */
  readonly json: unknown;
}

/** The index of a layout without images. */
export const EMPTY_LAYOUT: LayoutIndex = { rows: [], document: { schemaVersion: 2, mediaType: OCI_INDEX } };

/**
 * Reads an index.json.
 *
 * @throws {CodedError} ERR_IMAGE_INVALID, ERR_LIMIT_EXCEEDED.
 * @see OCI image-spec 1.1, image-layout.md
 */
export function decodeLayoutIndex(bytes: Uint8Array, what: string): LayoutIndex {
  const document = decodeJsonObject(bytes, what, MAX_DOCUMENT_SIZE);
  const { manifests } = document;
  const rows = listField(manifests, `${what}.manifests`, MAX_INDEX_MANIFESTS).map((json, position) => ({
    descriptor: descriptorField(json, `${what}.manifests[${position}]`),
    json,
  }));
  return { rows, document };
}

/** The bytes of an index.json. */
export function encodeLayoutIndex(index: LayoutIndex): Uint8Array {
  return encodeJson({ ...index.document, manifests: index.rows.map((row) => row.json) });
}

/**
 * Finds the image of a tag. Without a tag: the one image that has none, or the only image there is.
 *
 * @throws {CodedError} ERR_IMAGE_NOT_FOUND when there is none or more than one.
 */
export function findImage(index: LayoutIndex, tag: string | undefined, place: string): Descriptor {
  const rows = index.rows.map((row) => row.descriptor);
  const named = rows.filter((row) => row.annotations?.[REF_NAME] === tag);
  const found = named.length === 0 && tag === undefined ? rows : named;
  const [first] = found;
  if (first !== undefined && found.every((row) => row.digest === first.digest)) return first;
  const tags = rows.flatMap((row) => row.annotations?.[REF_NAME] ?? []).slice(0, 20);
  const has = `it has ${rows.length} images${tags.length === 0 ? "" : ` (${tags.join(", ")})`}`;
  throw new CodedError(
    "ERR_IMAGE_NOT_FOUND",
    tag === undefined
      ? `${place} needs a tag to name one image: ${has}`
      : `${place} has ${named.length === 0 ? "no" : "more than one"} image tagged ${tag}: ${has}`,
  );
}

/** The index with a tag (or, without one, the untagged image) standing for `descriptor`. */
export function withImage(index: LayoutIndex, tag: string | undefined, descriptor: Descriptor): LayoutIndex {
  const { [REF_NAME]: _, ...annotations } = descriptor.annotations ?? {};
  const named = tag === undefined ? annotations : { ...annotations, [REF_NAME]: tag };
  const { annotations: __, ...bare } = descriptor;
  const row = Object.keys(named).length === 0 ? bare : { ...bare, annotations: named };
  const kept = index.rows.filter((other) => other.descriptor.annotations?.[REF_NAME] !== tag);
  return { ...index, rows: [...kept, { descriptor: row, json: descriptorJson(row) }] };
}
