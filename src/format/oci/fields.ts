import { type Digest, parseDigest } from "../../base/digest.ts";
import { CodedError } from "../../base/errors.ts";
import type { Descriptor, Platform } from "./descriptor.ts";
import { isJsonObject, type JsonObject, sortedKeys } from "./json.ts";
import {
  MAX_ANNOTATION_LENGTH,
  MAX_ANNOTATIONS,
  MAX_MEDIA_TYPE_LENGTH,
  MAX_URL_LENGTH,
  MAX_URLS,
} from "./limits.ts";

const MEDIA_TYPE = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*$/;

/** The error for a field that is not as it must be. `where` is a path such as `manifest.layers[3].size`. */
export function invalidField(where: string, expected: string, found: unknown): CodedError {
  const shown = (JSON.stringify(found) ?? "nothing").slice(0, 80);
  return new CodedError("ERR_IMAGE_INVALID", `${where} must be ${expected}, found ${shown}`);
}

/** A list of at most `maximum` items; absent and null count as empty, as Go writes an empty slice. */
export function listField(value: unknown, where: string, maximum: number): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalidField(where, "a list", value);
  if (value.length > maximum) {
    throw new CodedError(
      "ERR_LIMIT_EXCEEDED",
      `${where} has ${value.length} items, at most ${maximum} are read`,
    );
  }
  return value;
}

/** A string of 1 to `maximum` characters. */
export function stringField(value: unknown, where: string, maximum: number): string {
  if (typeof value !== "string" || value === "" || value.length > maximum) {
    throw invalidField(where, `a string of 1 to ${maximum} characters`, value);
  }
  return value;
}

/** A string as {@link stringField}; absent, null and `""` give `undefined`. */
export function optionalString(value: unknown, where: string, maximum: number): string | undefined {
  return value === undefined || value === null || value === ""
    ? undefined
    : stringField(value, where, maximum);
}

/** A media type such as `application/json`. */
export function mediaTypeField(value: unknown, where: string): string {
  const text = stringField(value, where, MAX_MEDIA_TYPE_LENGTH);
  if (!MEDIA_TYPE.test(text)) throw invalidField(where, "a media type", value);
  return text;
}

/** A `sha256:` digest. */
export function digestField(value: unknown, where: string): Digest {
  if (typeof value !== "string") throw invalidField(where, "a digest", value);
  try {
    return parseDigest(value);
  } catch (cause) {
    throw new CodedError("ERR_IMAGE_INVALID", `${where} must be a sha256 digest`, { cause });
  }
}

/** A map of strings; absent and null give `undefined`. */
export function annotationsField(
  value: unknown,
  where: string,
): Readonly<Record<string, string>> | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isJsonObject(value)) throw invalidField(where, "an object of strings", value);
  const rows = Object.entries(value);
  if (rows.length > MAX_ANNOTATIONS) {
    throw new CodedError(
      "ERR_LIMIT_EXCEEDED",
      `${where} has ${rows.length} keys, at most ${MAX_ANNOTATIONS} are read`,
    );
  }
  for (const [key, text] of rows) {
    if (typeof text !== "string")
      throw invalidField(`${where}[${JSON.stringify(key.slice(0, 80))}]`, "a string", text);
    if (key.length > MAX_ANNOTATION_LENGTH || text.length > MAX_ANNOTATION_LENGTH) {
      throw new CodedError(
        "ERR_LIMIT_EXCEEDED",
        `${where} has a text over ${MAX_ANNOTATION_LENGTH} characters`,
      );
    }
  }
  return value as Readonly<Record<string, string>>;
}

/** A descriptor. */
export function descriptorField(value: unknown, where: string): Descriptor {
  if (!isJsonObject(value)) throw invalidField(where, "a descriptor", value);
  const size = value["size"];
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    throw invalidField(`${where}.size`, "an integer from 0 to 2^53-1", size);
  }
  const urls = listField(value["urls"], `${where}.urls`, MAX_URLS).map((url, index) =>
    stringField(url, `${where}.urls[${index}]`, MAX_URL_LENGTH),
  );
  const annotations = annotationsField(value["annotations"], `${where}.annotations`);
  const artifactType = optionalString(value["artifactType"], `${where}.artifactType`, MAX_MEDIA_TYPE_LENGTH);
  const platform = platformField(value["platform"], `${where}.platform`);
  return {
    mediaType: mediaTypeField(value["mediaType"], `${where}.mediaType`),
    digest: digestField(value["digest"], `${where}.digest`),
    size,
    ...(urls.length > 0 && { urls }),
    ...(annotations !== undefined && { annotations }),
    ...(platform !== undefined && { platform }),
    ...(artifactType !== undefined && { artifactType }),
  };
}

function platformField(value: unknown, where: string): Platform | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isJsonObject(value)) throw invalidField(where, "a platform", value);
  const variant = optionalString(value["variant"], `${where}.variant`, 64);
  const features = listField(value["os.features"], `${where}["os.features"]`, 64).map((feature, index) =>
    stringField(feature, `${where}["os.features"][${index}]`, 256),
  );
  return {
    // Artifacts of some builders carry an empty platform: no image of theirs matches anything.
    os: optionalString(value["os"], `${where}.os`, 64) ?? "unknown",
    architecture: optionalString(value["architecture"], `${where}.architecture`, 64) ?? "unknown",
    ...(variant !== undefined && { variant }),
    ...(features.length > 0 && { "os.features": features }),
  };
}

/** The JSON form of a descriptor: fields in the order of the specification, annotations sorted. */
export function descriptorJson(descriptor: Descriptor): JsonObject {
  const { mediaType, digest, size, urls, annotations, platform, artifactType } = descriptor;
  return {
    mediaType,
    digest,
    size,
    urls,
    annotations: annotations === undefined ? undefined : sortedKeys(annotations),
    platform:
      platform === undefined
        ? undefined
        : {
            architecture: platform.architecture,
            os: platform.os,
            "os.features": platform["os.features"],
            variant: platform.variant,
          },
    artifactType,
  };
}
