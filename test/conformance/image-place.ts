import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { type Digest, digestHex } from "#src/base/digest.js";
import { decodeManifest } from "#src/format/oci/manifest.js";
import type { ImageSource, ImageTarget } from "#src/store/image-source.js";
import { type MadeBlob, type MadeImage, madeBlob, madeImage, madeIndex } from "../support/made-image.ts";

/** A place that images can be written to and read from, with what the suite must know about it. */
export interface ImagePlace extends AsyncDisposable {
  /** Opens the image of a tag or, where `readsByDigest`, of a digest. */
  source(name: { readonly tag?: string; readonly digest?: Digest }): ImageSource;
  target(tag: string): ImageTarget;
  readonly readsByDigest: boolean;
  /** Whether blobs of one image can be seen while the next is written. */
  readonly sharesBlobs: boolean;
  /** Names of what a write left behind that is neither blob nor index. */
  leftovers(): Promise<readonly string[]>;
}

const AMD64 = { os: "linux", architecture: "amd64" };
const ARM64 = { os: "linux", architecture: "arm64" };
const MIB = 2 ** 20;

/** What every {@link ImageSource} and {@link ImageTarget} promises. */
export function describeImagePlace(name: string, open: () => Promise<ImagePlace>): void {
  describe(name, () => {
    const image = madeImage([3 * MIB + 17, 1, 70_000], AMD64);
    const signal = new AbortController().signal;
    let place: ImagePlace;
    before(async () => {
      place = await open();
      await writeImage(place, "v1", image);
    });
    after(() => place[Symbol.asyncDispose]());

    const layer = image.layers[0] as MadeBlob;

    it("resolves a tag to the bytes that were written under it", async () => {
      await using source = place.source({ tag: "v1" });
      const found = await source.resolve({ signal });
      assert.deepEqual(Buffer.from(found.bytes), Buffer.from(image.manifest.bytes));
      const { mediaType, digest, size } = found.descriptor;
      assert.deepEqual({ mediaType, digest, size }, image.manifest.descriptor);
    });

    it("resolves a digest, and refuses an image that is not there", async () => {
      if (place.readsByDigest) {
        await using source = place.source({ digest: image.manifest.descriptor.digest });
        assert.equal((await source.resolve({ signal })).descriptor.digest, image.manifest.descriptor.digest);
        await using absent = place.source({ digest: madeBlob(randomBytes(8)).descriptor.digest });
        await assert.rejects(absent.resolve({ signal }), { code: "ERR_IMAGE_NOT_FOUND" });
      }
      await using absent = place.source({ tag: "none" });
      await assert.rejects(absent.resolve({ signal }), { code: "ERR_IMAGE_NOT_FOUND" });
    });

    it("gives back documents and blobs whole", async () => {
      await using source = place.source({ tag: "v1" });
      const config = await source.readDocument(image.config.descriptor, { signal });
      assert.deepEqual(Buffer.from(config), Buffer.from(image.config.bytes));
      const manifest = await source.readDocument(image.manifest.descriptor, { signal });
      assert.deepEqual(Buffer.from(manifest), Buffer.from(image.manifest.bytes));
      for (const { descriptor, bytes } of image.layers) {
        const read = await collect(source.openBlob(descriptor, { signal }));
        assert.ok(read.equals(bytes), `${descriptor.digest} of ${descriptor.size} bytes`);
        assert.equal(await source.blobs.size(digestHex(descriptor.digest), { signal }), descriptor.size);
      }
    });

    it("reads ranges up to the edges of a blob and refuses one past its end", async () => {
      await using source = place.source({ tag: "v1" });
      const id = digestHex(layer.descriptor.digest);
      const { size } = layer.descriptor;
      const ranges = [
        [0, 1],
        [0, size],
        [size - 1, 1],
        [4096, 100_000],
        [size - 70_000, 70_000],
        [7, 0],
      ];
      for (const [offset = 0, length = 0] of ranges) {
        const read = await source.blobs.read(id, offset, length, { signal });
        assert.ok(
          Buffer.from(read).equals(layer.bytes.subarray(offset, offset + length)),
          `${offset}+${length}`,
        );
      }
      await assert.rejects(source.blobs.read(id, size - 1, 2, { signal }), { code: "ERR_BLOB_CORRUPT" });
      await assert.rejects(source.blobs.read(id, size + 5, 1, { signal }), { code: "ERR_BLOB_CORRUPT" });
    });

    it("refuses a blob or document that is not there", async () => {
      await using source = place.source({ tag: "v1" });
      const { descriptor } = madeBlob(randomBytes(16));
      const id = digestHex(descriptor.digest);
      await assert.rejects(source.blobs.read(id, 0, 1, { signal }), { code: "ERR_BLOB_NOT_FOUND" });
      await assert.rejects(source.blobs.size(id, { signal }), { code: "ERR_BLOB_NOT_FOUND" });
      await assert.rejects(collect(source.openBlob(descriptor, { signal })), { code: "ERR_BLOB_NOT_FOUND" });
      for (const mediaType of [image.manifest.descriptor.mediaType, image.config.descriptor.mediaType]) {
        const document = source.readDocument({ ...descriptor, mediaType }, { signal });
        await assert.rejects(document, { code: "ERR_IMAGE_NOT_FOUND" });
      }
    });

    it("fails a stream whose size is not the descriptor's, and a document over the limit unread", async () => {
      await using source = place.source({ tag: "v1" });
      for (const size of [layer.descriptor.size - 1, layer.descriptor.size + 1]) {
        const wrong = { ...layer.descriptor, size };
        await assert.rejects(collect(source.openBlob(wrong, { signal })), { code: "ERR_DIGEST_MISMATCH" });
      }
      const huge = { ...image.config.descriptor, size: 8 * MIB + 1 };
      await assert.rejects(source.readDocument(huge, { signal }), { code: "ERR_LIMIT_EXCEEDED" });
    });

    it("does nothing once its signal has fired", async () => {
      await using source = place.source({ tag: "v1" });
      const aborted = AbortSignal.abort();
      const id = digestHex(layer.descriptor.digest);
      await assert.rejects(source.resolve({ signal: aborted }), { code: "ERR_ABORTED" });
      await assert.rejects(source.blobs.read(id, 0, 1, { signal: aborted }), { code: "ERR_ABORTED" });
      await assert.rejects(collect(source.openBlob(layer.descriptor, { signal: aborted })), {
        code: "ERR_ABORTED",
      });
    });

    it("stops a stream when its signal fires in the middle", async () => {
      await using source = place.source({ tag: "v1" });
      const controller = new AbortController();
      const read = async (): Promise<void> => {
        for await (const _ of source.openBlob(layer.descriptor, { signal: controller.signal }))
          controller.abort();
      };
      await assert.rejects(read(), { code: "ERR_ABORTED" });
    });

    it("refuses bytes that are not the descriptor's and keeps nothing of them", async () => {
      await using target = place.target("wrong");
      const { descriptor, bytes } = madeBlob(randomBytes(300_000));
      const altered = Buffer.from(bytes);
      altered[299_999] = (altered[299_999] ?? 0) ^ 1;
      for (const wrong of [altered, bytes.subarray(1), Buffer.concat([bytes, bytes])]) {
        await assert.rejects(
          target.writeBlob(descriptor, () => pieces(wrong), { signal }),
          {
            code: "ERR_DIGEST_MISMATCH",
          },
        );
        assert.equal(await target.hasBlob(descriptor, { signal }), false);
      }
      assert.deepEqual(await place.leftovers(), []);
    });

    it("leaves nothing behind when a write is interrupted", async () => {
      await using target = place.target("interrupted");
      const controller = new AbortController();
      const { descriptor, bytes } = madeBlob(randomBytes(2 * MIB));
      const open = async function* (): AsyncGenerator<Uint8Array> {
        for await (const piece of pieces(bytes)) {
          yield piece;
          controller.abort();
        }
      };
      await assert.rejects(target.writeBlob(descriptor, open, { signal: controller.signal }), {
        code: "ERR_ABORTED",
      });
      assert.equal(await target.hasBlob(descriptor, { signal }), false);
      assert.deepEqual(await place.leftovers(), []);
    });

    it("does not read a blob again that the place has already", async () => {
      await using target = place.target("again");
      const { descriptor, bytes } = place.sharesBlobs ? layer : madeBlob(randomBytes(1000));
      if (!place.sharesBlobs) await target.writeBlob(descriptor, () => pieces(bytes), { signal });
      assert.equal(await target.hasBlob(descriptor, { signal }), true);
      const never = (): AsyncIterable<Uint8Array> => {
        throw new Error("opened");
      };
      await target.writeBlob(descriptor, never, { signal });
    });

    it("keeps an index with a manifest for each platform", async () => {
      const arm = madeImage([5000], ARM64);
      const amd = madeImage([6000, 0], AMD64);
      const index = madeIndex([
        { image: amd, platform: AMD64 },
        { image: arm, platform: ARM64 },
      ]);
      {
        await using target = place.target("both");
        for (const one of [amd, arm]) {
          await writeBlobs(target, one);
          await target.writeManifest(one.manifest, false, { signal });
        }
        await target.writeManifest(index, true, { signal });
      }
      await using source = place.source({ tag: "both" });
      const found = await source.resolve({ signal });
      const decoded = decodeManifest(found.bytes, found.descriptor.mediaType);
      assert.ok(decoded.kind === "index");
      assert.deepEqual(
        await Promise.all(decoded.manifests.map((row) => source.readDocument(row, { signal }).then(textOf))),
        [amd, arm].map((one) => textOf(one.manifest.bytes)),
      );
    });

    it("shows nothing under a name before its manifest is written, and the newest one after", async () => {
      const first = madeImage([100], AMD64);
      const second = madeImage([200], AMD64);
      {
        await using target = place.target("moving");
        await writeBlobs(target, first);
        await using source = place.source({ tag: "moving" });
        await assert.rejects(source.resolve({ signal }), { code: "ERR_IMAGE_NOT_FOUND" });
      }
      for (const one of [first, second]) await writeImage(place, "moving", one);
      await using source = place.source({ tag: "moving" });
      assert.equal((await source.resolve({ signal })).descriptor.digest, second.manifest.descriptor.digest);
      assert.deepEqual(await place.leftovers(), []);
    });
  });
}

/** Writes an image under a tag. */
export async function writeImage(
  place: Pick<ImagePlace, "target">,
  tag: string,
  image: MadeImage,
): Promise<void> {
  await using target = place.target(tag);
  await writeBlobs(target, image);
  await target.writeManifest(image.manifest, true, { signal: new AbortController().signal });
}

/** All bytes of a stream. */
export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

async function writeBlobs(target: ImageTarget, image: MadeImage): Promise<void> {
  const signal = new AbortController().signal;
  for (const { descriptor, bytes } of [...image.layers, image.config]) {
    await target.writeBlob(descriptor, () => pieces(bytes), { signal });
  }
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += 64_000) yield bytes.subarray(offset, offset + 64_000);
}
