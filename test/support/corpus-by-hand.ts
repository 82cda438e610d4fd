import { gzipSync } from "node:zlib";
import { compress } from "zstd-napi";
import { OCI_LAYER_GZIP, OCI_LAYER_ZSTD } from "#src/format/oci/media-types.js";
import { type CorpusCase, GNU_UNPACK, unpackWith } from "./corpus-case.ts";
import { base256, paxHeader, TAR_END, tarMember } from "./tar-builder.ts";

const SECONDS = 1_700_000_000;
const time = { mtime: SECONDS };
const root = tarMember({ name: "./", type: "5", mode: 0o755, ...time });
const dir = (name: string, mode = 0o755): Buffer => tarMember({ name, type: "5", mode, ...time });
/** A file with its name as content, or other text. */
export const file = (name: string, content = name): Buffer => tarMember({ name, ...time }, content);
/** A hard link. */
export const hardLink = (name: string, link: string): Buffer => tarMember({ name, type: "1", link, ...time });
/** A symlink. */
export const symlink = (name: string, link: string): Buffer =>
  tarMember({ name, type: "2", link, mode: 0o777, ...time });
/** A whole tar: the root, members, end blocks. */
export const tar = (...members: readonly Buffer[]): Buffer => Buffer.concat([root, ...members, TAR_END]);
/** The GNU header that gives the next member a long name (L) or link target (K). */
export const longName = (name: string, type: "L" | "K" = "L"): Buffer =>
  tarMember({ name: "././@LongLink", type }, Buffer.from(`${name}\0`, "latin1"));

/** Tars made by hand: what tools rarely write, and what only several layers show. */
export const HAND_CASES: readonly CorpusCase[] = [
  {
    name: "hard links to files, symlinks and devices, and over layers",
    layers: () => [
      tar(file("a"), hardLink("a-too", "a"), symlink("s", "a"), hardLink("s-too", "s"), dir("d")),
      tar(hardLink("d/third", "a-too"), hardLink("d/s", "./s-too")),
      tar(tarMember({ name: "null", type: "3", major: 1, minor: 3, ...time }), hardLink("null-too", "/null")),
    ],
  },
  {
    name: "hard links whose headers say other things than their targets'",
    layers: () => [
      tar(
        tarMember({ name: "a", mode: 0o644, uid: 1, gid: 2, ...time }, "content"),
        tarMember({ name: "b", type: "1", link: "a", mode: 0o4711, uid: 3, gid: 4, mtime: SECONDS + 100 }),
      ),
      tar(tarMember({ name: "c", type: "1", link: "b", mode: 0o600, uid: 5, gid: 6, mtime: SECONDS + 200 })),
    ],
    // containerd sets what the last header says, on the one inode they all are (createTarFile in pkg/archive/tar.go);
    // umoci passes over the headers of hard links.
    adjust: (row) =>
      row.path === "."
        ? row
        : { ...row, mode: "0600", uid: 5, gid: 6, mtimeNs: String((SECONDS + 200) * 1e9) },
  },
  {
    // In its own layer the target comes later: the link is to what the layer below has.
    name: "a hard link before a target that a lower layer has",
    layers: () => [tar(file("target", "lower")), tar(hardLink("link", "target"), file("target", "upper"))],
  },
  {
    name: "duplicate entries, of the same type and of others",
    layers: () => [
      tar(
        file("twice", "first"),
        file("twice", "second"),
        dir("d", 0o700),
        file("d/kept"),
        dir("d", 0o711),
        symlink("changes", "twice"),
        file("changes", "a file now"),
        file("f", "a file first"),
        hardLink("linked", "f"),
        file("f", "another inode"),
        root,
      ),
    ],
  },
  {
    name: "absolute names, names with dots, and symlinks that point out of the root",
    layers: () => [
      tar(
        file("/absolute", "in the root"),
        file("./d/.././dots", "in the root, too"),
        symlink("out", "../../../etc"),
        symlink("abs", "/etc/passwd"),
        hardLink("/abs-too", "/absolute"),
      ),
    ],
  },
  {
    name: "no end blocks",
    layers: () => [Buffer.concat([root, file("a"), file("b")])],
  },
  {
    name: "no end blocks and no padding behind the last file",
    layers: () => [Buffer.concat([root, file("a"), file("b")]).subarray(0, 3 * 512 + 512 + 1)],
    // Go's reader wants the padding.
    reference: () => [tar(file("a"), file("b"))],
  },
  {
    name: "garbage behind the end blocks",
    layers: () => [Buffer.concat([tar(file("a")), Buffer.alloc(10_240), Buffer.from("garbage")])],
  },
  {
    name: "xattrs of LIBARCHIVE alone, unpacked by bsdtar since Go does not know them",
    layers: () => [
      tar(
        paxHeader([
          ["LIBARCHIVE.xattr.user.binary", Buffer.from([0, 255, 10, 61, 10]).toString("base64")],
          ["LIBARCHIVE.xattr.user.a%3Db%25", Buffer.from("odd name").toString("base64").replaceAll("=", "")],
        ]),
        file("x"),
      ),
    ],
    unpack: unpackWith("bsdtar", "--xattrs"),
  },
  {
    name: "global pax headers that say something, unpacked by GNU tar since Go passes over them",
    layers: () => [
      tar(
        paxHeader(
          [
            ["uid", "7"],
            ["mtime", "1600000000.5"],
          ],
          "g",
        ),
        file("global"),
        paxHeader([["uid", "8"]]),
        file("own"),
        paxHeader(
          [
            ["uid", "9"],
            ["mtime", "1600000001"],
          ],
          "g",
        ),
        file("second"),
      ),
    ],
    unpack: GNU_UNPACK,
  },
  {
    name: "names of 255 bytes that are not UTF-8, in GNU and pax headers",
    layers: () => [
      tar(
        longName("\xff".repeat(255)),
        file("x", "gnu"),
        paxHeader([["path", `d/${"\xfe".repeat(255)}`]]),
        file("x", "pax"),
        longName("\xfd\n/".repeat(1000), "K"),
        symlink("s", "x"),
      ),
    ],
  },
  {
    name: "base-256 numbers",
    layers: () => [
      tar(
        tarMember({ name: "far", mtime: base256(2n ** 33n + 1n, 12), uid: base256(2n ** 31n, 8) }, "x"),
        tarMember({ name: "early", mtime: base256(-1000n, 12), gid: base256(70_000n, 8) }, "y"),
        tarMember({ name: "size", size: base256(5n, 12), ...time }, "bytes"),
      ),
    ],
  },
  {
    name: "layers without entries, and one layer twice with a whiteout between",
    layers: () => [
      Buffer.alloc(1024),
      tar(file("a"), dir("d"), file("d/b")),
      Buffer.alloc(0),
      tar(file(".wh.a", ""), file("d/.wh..wh..opq", ""), file("d/c")),
      tar(file("a"), dir("d"), file("d/b")),
      Buffer.alloc(1024),
    ],
  },
  {
    name: "127 layers that add, remove and bring back",
    layers: () =>
      Array.from({ length: 127 }, (_, number) =>
        number % 3 === 2
          ? tar(file(".wh.cycle", ""), file(`d/.wh.${number - 1}`, ""))
          : tar(file("cycle", `layer ${number}`), dir("d"), file(`d/${number}`)),
      ),
  },
  {
    name: "one compression for each layer, one of them foreign",
    layers: () => {
      const members = ["gzip", "members", "bgzip", "zstd", "frames", "foreign"].map((name) =>
        tar(file(name)),
      );
      const [one, two, three, four, five, six] = members as [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer];
      const half = two.length / 2;
      return [
        { tar: one, stored: gzipSync(one), mediaType: OCI_LAYER_GZIP },
        {
          tar: two,
          stored: Buffer.concat([gzipSync(two.subarray(0, half)), gzipSync(two.subarray(half))]),
          mediaType: OCI_LAYER_GZIP,
        },
        { tar: three, stored: bgzip(three), mediaType: OCI_LAYER_GZIP },
        { tar: four, stored: compress(four), mediaType: OCI_LAYER_ZSTD },
        {
          tar: five,
          stored: Buffer.concat([compress(five.subarray(0, 700)), compress(five.subarray(700))]),
          mediaType: OCI_LAYER_ZSTD,
        },
        {
          tar: six,
          stored: gzipSync(six),
          mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        },
      ];
    },
  },
];

/** As bgzip writes: members of at most 64 KiB that carry their size in an extra field, the last one empty. */
function bgzip(bytes: Buffer): Buffer {
  const members: Buffer[] = [];
  for (let start = 0; start <= bytes.length; start += 60_000) {
    const plain = gzipSync(bytes.subarray(start, start + 60_000));
    const extra = Buffer.from([6, 0, 0x42, 0x43, 2, 0, 0, 0]);
    extra.writeUInt16LE(plain.length + extra.length - 1, 6);
    const header = Buffer.from(plain.subarray(0, 10));
    header[3] = 4;
    members.push(header, extra, plain.subarray(10));
  }
  return Buffer.concat([...members, Buffer.from(BGZIP_END, "hex")]);
}

const BGZIP_END = "1f8b08040000000000ff0600424302001b0003000000000000000000";
