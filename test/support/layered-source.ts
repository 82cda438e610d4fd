import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import type { Descriptor } from "#src/format/oci/descriptor.js";
import { OCI_LAYER_GZIP } from "#src/format/oci/media-types.js";
import type { ImageTarget } from "#src/store/image-source.js";
import { plainLayer, writeSourceImage } from "./source-image.ts";
import { tarMember } from "./tar-builder.ts";

/** What a made-up image holds. */
export interface LayeredSource {
  readonly layers: number;
  readonly filesPerLayer: number;
  /** Bytes of the largest file; the others are smaller, down to nothing. */
  readonly fileSize: number;
  /** Bytes that do not compress, in the place of text. @default false */
  readonly isRandom?: boolean;
  /** Layers that are not compressed: the image's digest does not depend on a zlib then. @default false */
  readonly isPlain?: boolean;
}

/** Bytes that are the same for the same seed; they do not compress. */
export function seededBytes(seed: string, length: number): Buffer {
  return createHash("shake256", { outputLength: Math.max(1, length) })
    .update(seed)
    .digest()
    .subarray(0, length);
}

/** Writes an image of gzip layers whose content depends on nothing but its description. */
export async function writeLayeredSource(target: ImageTarget, source: LayeredSource): Promise<Descriptor> {
  const layers = Array.from({ length: source.layers }, (_, number) => {
    const tar = layerTar(number, source);
    if (source.isPlain === true) return plainLayer(tar);
    return { stored: gzipSync(tar, { level: 1 }), tar, mediaType: OCI_LAYER_GZIP };
  });
  return writeSourceImage(target, { layers });
}

function layerTar(layer: number, { filesPerLayer, fileSize, isRandom = false }: LayeredSource): Buffer {
  const members = [tarMember({ name: `layer-${layer}/`, type: "5", mode: 0o755 })];
  for (let number = 0; number < filesPerLayer; number++) {
    const size = Math.ceil((fileSize * (filesPerLayer - 1 - number)) / Math.max(1, filesPerLayer - 1));
    // Every third file is in the other layers too.
    const seed = number % 3 === 0 ? `shared ${number}` : `${layer} ${number}`;
    const content = isRandom
      ? seededBytes(seed, size)
      : Buffer.alloc(size, seededBytes(seed, 6000).toString("base64"));
    const common = { mtime: 1_700_000_000 + number, uid: number, gid: layer };
    members.push(tarMember({ ...common, name: `layer-${layer}/file-${number}` }, content));
  }
  members.push(tarMember({ name: `layer-${layer}/link`, type: "2", link: "file-0" }));
  members.push(tarMember({ name: `layer-${layer}/hard`, type: "1", link: `layer-${layer}/file-1` }));
  if (layer > 0) members.push(tarMember({ name: `layer-${layer - 1}/.wh.file-2` }));
  return Buffer.concat([...members, Buffer.alloc(1024)]);
}
