import { CodedError } from "../../base/errors.ts";
import type { Descriptor } from "./descriptor.ts";
import {
  annotationsField,
  descriptorField,
  descriptorJson,
  invalidField,
  listField,
  optionalString,
} from "./fields.ts";
import { decodeJsonObject, encodeJson, type JsonObject, sortedKeys } from "./json.ts";
import { MAX_INDEX_MANIFESTS, MAX_LAYERS, MAX_MANIFEST_SIZE, MAX_MEDIA_TYPE_LENGTH } from "./limits.ts";
import {
  DOCKER_INDEX,
  DOCKER_MANIFEST,
  isIndexType,
  isManifestType,
  isSchema1Type,
  OCI_INDEX,
  OCI_MANIFEST,
} from "./media-types.ts";

/** One image: its configuration and its layers, lowest first. */
export interface Manifest {
  readonly kind: "manifest";
  /** `OCI_MANIFEST` or `DOCKER_MANIFEST`. */
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly artifactType?: string;
  /** The manifest this one is about (OCI 1.1 referrers). */
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Several manifests under one name, one for each platform. */
export interface ImageIndex {
  readonly kind: "index";
  /** `OCI_INDEX` or `DOCKER_INDEX`. */
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly artifactType?: string;
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Reads a manifest or an index, OCI or Docker schema 2.
 *
 * @param mediaType What the descriptor or the Content-Type says; `undefined` when nothing said it.
 * @param what Names the document in messages.
 * @throws {CodedError} ERR_IMAGE_INVALID with the field that is wrong, ERR_LIMIT_EXCEEDED,
 *   ERR_FEATURE_UNSUPPORTED for Docker schema 1.
 * @see OCI image-spec 1.1, manifest.md and image-index.md; Docker image manifest v2 schema 2
 */
export function decodeManifest(
  bytes: Uint8Array,
  mediaType?: string,
  what = "manifest",
): Manifest | ImageIndex {
  const json = decodeJsonObject(bytes, what, MAX_MANIFEST_SIZE);
  const type = manifestTypeOf(json, mediaType, what);
  const artifactType = optionalString(json["artifactType"], `${what}.artifactType`, MAX_MEDIA_TYPE_LENGTH);
  const annotations = annotationsField(json["annotations"], `${what}.annotations`);
  const subject =
    json["subject"] === undefined || json["subject"] === null
      ? undefined
      : descriptorField(json["subject"], `${what}.subject`);
  const common = {
    mediaType: type,
    ...(artifactType !== undefined && { artifactType }),
    ...(subject !== undefined && { subject }),
    ...(annotations !== undefined && { annotations }),
  };
  if (isIndexType(type)) {
    const manifests = listField(json["manifests"], `${what}.manifests`, MAX_INDEX_MANIFESTS).map(
      (row, index) => descriptorField(row, `${what}.manifests[${index}]`),
    );
    return { kind: "index", ...common, manifests };
  }
  const layers = listField(json["layers"], `${what}.layers`, MAX_LAYERS).map((layer, index) =>
    descriptorField(layer, `${what}.layers[${index}]`),
  );
  return { kind: "manifest", ...common, config: descriptorField(json["config"], `${what}.config`), layers };
}

/** The bytes of a manifest or index: compact JSON, fields in the order of the specification. */
export function encodeManifest(manifest: Manifest | ImageIndex): Uint8Array {
  const { mediaType, artifactType, subject, annotations } = manifest;
  return encodeJson({
    schemaVersion: 2,
    mediaType,
    artifactType,
    ...(manifest.kind === "index"
      ? { manifests: manifest.manifests.map(descriptorJson) }
      : { config: descriptorJson(manifest.config), layers: manifest.layers.map(descriptorJson) }),
    subject: subject === undefined ? undefined : descriptorJson(subject),
    annotations: annotations === undefined ? undefined : sortedKeys(annotations),
  });
}

function manifestTypeOf(json: JsonObject, mediaType: string | undefined, what: string): string {
  const written = optionalString(json["mediaType"], `${what}.mediaType`, MAX_MEDIA_TYPE_LENGTH);
  const version = json["schemaVersion"];
  if (version === 1 || isSchema1Type(mediaType ?? written ?? "")) {
    throw new CodedError("ERR_FEATURE_UNSUPPORTED", `${what} is a Docker schema 1 manifest`);
  }
  if (version !== 2) throw invalidField(`${what}.schemaVersion`, "2", version);
  // One set of bytes that is a manifest to one reader and an index to another hides an image from
  // whoever checked it (CVE-2021-41190).
  const isIndex = "manifests" in json;
  if (isIndex && ("layers" in json || "config" in json)) {
    throw new CodedError("ERR_IMAGE_INVALID", `${what} has both manifests and layers or config`);
  }
  const isDocker = (written ?? mediaType ?? "").startsWith("application/vnd.docker.");
  const found =
    written ?? (isDocker ? (isIndex ? DOCKER_INDEX : DOCKER_MANIFEST) : isIndex ? OCI_INDEX : OCI_MANIFEST);
  if (isIndex ? !isIndexType(found) : !isManifestType(found)) {
    throw invalidField(
      `${what}.mediaType`,
      isIndex ? "that of an index" : "that of an image manifest",
      found,
    );
  }
  const isKnown = mediaType !== undefined && (isIndexType(mediaType) || isManifestType(mediaType));
  if (isKnown && mediaType !== found) {
    throw invalidField(`${what}.mediaType`, `${mediaType} as its descriptor says`, found);
  }
  return found;
}
