import { gunzipSync } from "node:zlib";
import { extract } from "tar-stream";
import { convertImage } from "#src/convert/convert-image.js";
import type { ConvertOptions } from "#src/convert/convert-options.js";
import type { ConvertReport } from "#src/convert/convert-report.js";
import { isNydusBootstrapLayer } from "#src/format/oci/annotations.js";
import { decodeImageConfig, type ImageConfig } from "#src/format/oci/image-config.js";
import { decodeManifest, type Manifest } from "#src/format/oci/manifest.js";
import type { Bootstrap, ReadBootstrapOptions } from "#src/image/bootstrap.js";
import { readBootstrap } from "#src/image/bootstrap-reader.js";
import { openLayoutSource } from "#src/layout/layout-source.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import type { ImageSource, ImageTarget, StoredManifest } from "#src/store/image-source.js";
import { collectBytes } from "#src/store/verified-stream.js";
import { fixturePath } from "./fixtures.ts";

const signal = new AbortController().signal;

/** A file or folder of a tar. */
export interface TarFile {
  readonly name: string;
  readonly type: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
}

/** A converted image, read back. */
export interface ConvertedImage {
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  readonly bootstrapTar: Uint8Array;
  readonly files: readonly TarFile[];
  readonly bootstrap: Bootstrap;
}

/** The small image of three layers that the golden images were made of. */
export function openFixtureSource(): ImageSource {
  return openLayoutSource(fixturePath("golden", "nydusify", "source"), "v1");
}

/** Converts an image of one platform, `linux/amd64`, and closes the source. */
export async function convert(
  source: ImageSource,
  target: ImageTarget,
  workParent: string,
  options: ConvertOptions = {},
): Promise<ConvertReport> {
  await using _ = source;
  const platforms = { wanted: [{ os: "linux", architecture: "amd64" }], isExplicit: false };
  return await convertImage({ kind: "image", source, platforms, reference: undefined }, target, options, {
    signal,
    onEvent: () => {},
    workParent,
  });
}

/** Converts the fixture into the layout `out` of a folder, under the tag `nydus`. */
export async function convertFixture(
  directory: string,
  options: ConvertOptions = {},
): Promise<ConvertReport> {
  return convert(
    openFixtureSource(),
    new LayoutTarget(`${directory}/out`, { tag: "nydus" }),
    directory,
    options,
  );
}

/** The image that {@link convertFixture} made. */
export function openConverted(directory: string): ImageSource {
  return openLayoutSource(`${directory}/out`, "nydus");
}

/** What the tag of {@link convertFixture} stands for. */
export async function convertedTop(directory: string): Promise<StoredManifest> {
  await using source = openConverted(directory);
  return await source.resolve({ signal });
}

/** Reads manifest, configuration and bootstrap layer of a Nydus image, and closes the source. */
export async function readConverted(
  source: ImageSource,
  options: ReadBootstrapOptions = {},
): Promise<ConvertedImage> {
  await using _ = source;
  const top = await source.resolve({ signal });
  const manifest = decodeManifest(top.bytes, top.descriptor.mediaType);
  if (manifest.kind !== "manifest") throw new Error("not a manifest");
  const config = decodeImageConfig(await source.readDocument(manifest.config, { signal }));
  const layer = manifest.layers.find(isNydusBootstrapLayer);
  if (layer === undefined) throw new Error("no bootstrap layer");
  const stored = await collectBytes(source.openBlob(layer, { signal }), 2 ** 26, "bootstrap layer");
  const bootstrapTar = gunzipSync(stored);
  const files = await listTar(bootstrapTar);
  const bootstrap = files.find(({ name }) => name === "image/image.boot");
  if (bootstrap === undefined) throw new Error("no bootstrap");
  return { manifest, config, bootstrapTar, files, bootstrap: readBootstrap(bootstrap.bytes, options) };
}

async function listTar(bytes: Uint8Array): Promise<TarFile[]> {
  const files: TarFile[] = [];
  const tar = extract();
  tar.end(bytes);
  for await (const member of tar) {
    const parts: Uint8Array[] = [];
    for await (const part of member) parts.push(part as Uint8Array);
    const { name, type, mode } = member.header;
    files.push({
      name: name.replace(/\/$/, ""),
      type: type ?? "",
      mode: mode ?? 0,
      bytes: Buffer.concat(parts),
    });
  }
  return files;
}
