import type { Digest } from "../../base/digest.ts";
import { CodedError } from "../../base/errors.ts";
import type { Platform } from "./descriptor.ts";
import { digestField, invalidField, listField, optionalString } from "./fields.ts";
import { decodeJsonObject, encodeJson, isJsonObject, type JsonObject } from "./json.ts";
import { MAX_DOCUMENT_SIZE, MAX_HISTORY, MAX_LAYERS } from "./limits.ts";

/** One step of how an image was built. Fields that are not named here are kept as they are. */
export interface HistoryRow {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

/** The configuration of an image. */
export interface ImageConfig {
  readonly platform: Platform;
  /** Digests of the uncompressed layers, lowest first. */
  readonly diffIds: readonly Digest[];
  readonly history: readonly HistoryRow[];
  /** The whole document, unknown fields included, in its own order. */
  readonly document: JsonObject;
}

/**
 * Reads an image configuration, OCI or Docker.
 *
 * @throws {CodedError} ERR_IMAGE_INVALID with the field that is wrong, ERR_LIMIT_EXCEEDED.
 * @see OCI image-spec 1.1, config.md
 */
export function decodeImageConfig(bytes: Uint8Array, what = "image config"): ImageConfig {
  const document = decodeJsonObject(bytes, what, MAX_DOCUMENT_SIZE);
  const rootfs = document["rootfs"];
  if (!isJsonObject(rootfs)) throw invalidField(`${what}.rootfs`, "an object", rootfs);
  const diffIds = listField(rootfs["diff_ids"], `${what}.rootfs.diff_ids`, MAX_LAYERS).map((id, index) =>
    digestField(id, `${what}.rootfs.diff_ids[${index}]`),
  );
  const history = listField(document["history"], `${what}.history`, MAX_HISTORY).map((row, index) => {
    if (!isJsonObject(row)) throw invalidField(`${what}.history[${index}]`, "an object", row);
    return row as HistoryRow;
  });
  const variant = optionalString(document["variant"], `${what}.variant`, 64);
  return {
    platform: {
      os: optionalString(document["os"], `${what}.os`, 64) ?? "unknown",
      architecture: optionalString(document["architecture"], `${what}.architecture`, 64) ?? "unknown",
      ...(variant !== undefined && { variant }),
    },
    diffIds,
    history,
    document,
  };
}

/** The same configuration over other layers. Everything else of the document stays, in its order. */
export function withLayers(
  config: ImageConfig,
  diffIds: readonly Digest[],
  history: readonly HistoryRow[],
): ImageConfig {
  const rootfs = { type: "layers", diff_ids: diffIds };
  return { ...config, diffIds, history, document: { ...config.document, rootfs, history } };
}

/** The bytes of a configuration: compact JSON in the order of its document. */
export function encodeImageConfig(config: ImageConfig): Uint8Array {
  return encodeJson(config.document);
}

/**
 * Checks that a configuration has one diff id for each layer.
 *
 * @throws {CodedError} ERR_IMAGE_INVALID when the counts differ.
 */
export function checkLayerCount(config: ImageConfig, layers: number): void {
  if (config.diffIds.length !== layers) {
    throw new CodedError(
      "ERR_IMAGE_INVALID",
      `image config has ${config.diffIds.length} diff ids for ${layers} layers`,
    );
  }
}
