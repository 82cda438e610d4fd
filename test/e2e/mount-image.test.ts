import assert from "node:assert/strict";
import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { isCoded } from "#src/base/errors.js";
import { BootstrapView } from "#src/image/bootstrap-view.js";
import { type ENGINES, type MountedImage, type MountOptions, mountImage } from "#src/mount/mount.js";
import { addon } from "#src/native/addon.js";
import { requireFuseNative } from "#src/native/fuse-native.js";
import { readJsonLines } from "../support/fixtures.ts";
import { comparable, GoldenImage, listMounted, shell, skipFuse } from "../support/mounted-image.ts";
import { type GoldenRow, recordedTimes } from "../support/recorded-times.ts";

const RUN = "v6-zstd-blake3";
const skipErofs = skipFuse || reasonAgainstErofs();

function reasonAgainstErofs(): string | false {
  return addon() === undefined ? "EROFS needs the native addon" : false;
}

function reasonAgainstFuseNative(): string | false {
  if (addon() === undefined) return "reading xattrs needs the native addon";
  try {
    requireFuseNative();
    return false;
  } catch (error) {
    return (error as Error).message;
  }
}

function expectedRows(): GoldenRow[] {
  return recordedTimes(readJsonLines("golden", "made", RUN, "nydusd.jsonl"));
}

function mount(
  image: GoldenImage,
  engine: (typeof ENGINES)[number],
  more: Partial<MountOptions> = {},
): Promise<MountedImage> {
  const { bootstrap, blobs, mountpoint, cacheFolder: cacheDirectory } = image;
  const onError = (error: unknown): void => {
    image.errors.push(error);
  };
  const options = { bootstrap, blobs, mountpoint, cacheDirectory, engine, onError, ...more };
  return mountImage(options, new AbortController().signal);
}

describe("mountImage()", { skip: skipFuse }, () => {
  it("chooses fuse, and says why, for chunks that do not lie where the bootstrap says", async () => {
    await using image = GoldenImage.open(RUN);
    await using mounted = await mount(image, "auto", { hasChunksInPlace: false });
    assert.equal(mounted.engine, "fuse");
    assert.match(mounted.reason, /not erofs: chunks do not lie|needs the native addon/);
    await assert.rejects(mount(image, "erofs", { hasChunksInPlace: false }), { code: "ERR_MOUNT_FAILED" });
  });

  for (const state of ["an empty", "a complete"] as const) {
    it(`shows the same by the erofs engine over ${state} cache`, { skip: skipErofs }, async (context) => {
      await using image = GoldenImage.open(RUN);
      if (state === "a complete") await image.fill();
      await using mounted = await mount(image, "auto");
      if (mounted.engine !== "erofs") return context.skip(mounted.reason);
      const { length: blobs } = new BootstrapView(image.bootstrap).blobRows;
      assert.match(mounted.reason, state === "an empty" ? new RegExp(`^0 of ${blobs} blobs`) : /^every blob/);
      assert.deepEqual(comparable(await listMounted(image.mountpoint)), expectedRows());
      const { stdout } = await shell(`grep ' ${image.mountpoint}' /proc/self/mountinfo`);
      // The mount that has the blobs as files is not to be seen.
      assert.match(stdout, /^[^\n]* ro,nosuid,nodev,relatime - erofs [^\n]*\n$/);
      assert.deepEqual(
        readdirSync(image.cacheFolder).filter((name) => name.startsWith("mnt-")),
        [],
      );
    });
  }

  it("leaves no mount in the cache folder when that is named by a symbolic link", {
    skip: skipErofs,
  }, async () => {
    await using image = GoldenImage.open(RUN);
    const link = join(image.folder, "link");
    mkdirSync(image.cacheFolder);
    symlinkSync(image.cacheFolder, link);
    await using mounted = await mount(image, "erofs", { cacheDirectory: link });
    assert.equal(mounted.engine, "erofs");
    assert.deepEqual(readdirSync(image.cacheFolder), []);
    assert.equal(
      (await shell(`grep ' ${image.cacheFolder}/[^ ]* ro,nosuid' /proc/self/mountinfo`)).stdout,
      "",
    );
  });

  it("never gives the kernel a bootstrap that the check refuses", { skip: skipErofs }, async () => {
    await using image = GoldenImage.open(RUN);
    await image.fill();
    // The name offset of the first directory entry of the root.
    image.bootstrap.fill(0xff, image.bootstrap.length - 4096);
    const mounted = await mount(image, "auto").catch((error: unknown) => error);
    if (isCoded(mounted)) return;
    await using served = mounted as MountedImage;
    assert.notEqual(served.engine, "erofs");
  });

  const skipNative = reasonAgainstFuseNative();
  it("shows what libfuse 2 can carry by the fuse-native engine", { skip: skipNative }, async () => {
    await using image = GoldenImage.open(RUN);
    await using mounted = await mount(image, "fuse-native");
    assert.equal(mounted.engine, "fuse-native");
    // The engine loses inode numbers, times before 1970 and below a millisecond, and names that are not UTF-8.
    const listed = comparable(await listMounted(image.mountpoint));
    const rows = new Map(listed.map((row) => [row.path, row]));
    let compared = 0;
    for (const row of expectedRows()) {
      const shown = rows.get(row.path);
      if (shown === undefined) {
        assert.match(row.path, /[\x80-\xff]/);
        continue;
      }
      compared++;
      const lost = { mtimeNs: "", link: "", target: "" };
      assert.deepEqual({ ...shown, ...lost }, { ...row, ...lost });
    }
    assert.ok(compared > 500);
    assert.deepEqual(image.errors, []);
  });

  it("refuses a mountpoint that does not exist", async () => {
    await using image = GoldenImage.open(RUN);
    const options = { ...image, blobs: image.blobs, cacheDirectory: image.cacheFolder };
    await assert.rejects(
      mountImage({ ...options, mountpoint: `${image.mountpoint}/no` }, new AbortController().signal),
      { code: "ERR_PATH_NOT_FOUND" },
    );
  });
});
