import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { HttpClient } from "#src/net/http-client.js";
import { ANONYMOUS } from "#src/registry/credentials.js";
import { RegistrySource } from "#src/registry/registry-source.js";
import { RegistryTarget } from "#src/registry/registry-target.js";
import type { ImageSource, ImageTarget } from "#src/store/image-source.js";
import {
  type ConvertedImage,
  convert,
  convertFixture,
  openConverted,
  openFixtureSource,
  readConverted,
} from "./converted-image.ts";
import { DockerRegistry } from "./docker-registry.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

/** A converted image in some place, with ways to its stored files and to other images beside it. */
export interface ConvertedPlace extends AsyncDisposable {
  readonly image: ConvertedImage;
  /** The file with the bytes of a digest. */
  readonly fileOf: (digest: string) => string;
  /** A second image in the same place, and how to name it; absent where an image has no manifest. */
  readonly other?: { readonly target: () => ImageTarget; readonly name: string };
  /** Arguments that name the image. */
  readonly args: readonly string[];
}

/** In an OCI layout. */
export async function openInLayout(): Promise<ConvertedPlace> {
  const directory = await temporaryDirectory();
  await convertFixture(directory.path);
  const out = join(directory.path, "out");
  return {
    image: await readConverted(openConverted(directory.path)),
    fileOf: (digest) => join(out, "blobs", "sha256", digest.slice(7)),
    other: { target: () => new LayoutTarget(out, { tag: "other" }), name: `oci:${out}:other` },
    args: [`oci:${out}:nydus`],
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

/** As a bootstrap file beside a directory of blobs. */
export async function openInFiles(): Promise<ConvertedPlace> {
  const layout = await openInLayout();
  const bootstrap = layout.fileOf("sha256:image.boot");
  await writeFile(bootstrap, layout.image.files.find(({ name }) => name === "image/image.boot")?.bytes ?? "");
  const args = ["--bootstrap", bootstrap, "--blob-dir", join(bootstrap, "..")];
  return {
    image: layout.image,
    fileOf: layout.fileOf,
    args,
    [Symbol.asyncDispose]: () => layout[Symbol.asyncDispose](),
  };
}

/** In Debian's docker-registry. */
export async function openInRegistry(): Promise<ConvertedPlace> {
  const registry = await DockerRegistry.start();
  const http = new HttpClient();
  const directory = await temporaryDirectory();
  const dependencies = { http, credentials: ANONYMOUS };
  const reference = { registry: registry.host, repository: "app" };
  const target = (tag: string): ImageTarget => new RegistryTarget(dependencies, { ...reference, tag });
  const source: ImageSource = new RegistrySource(dependencies, { ...reference, tag: "nydus" });
  await convert(openFixtureSource(), target("nydus"), directory.path);
  return {
    image: await readConverted(source),
    fileOf: (digest) => registry.fileOf(digest),
    other: { target: () => target("other"), name: `${registry.host}/app:other` },
    args: [`${registry.host}/app:nydus`],
    [Symbol.asyncDispose]: async () => {
      await http[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}
