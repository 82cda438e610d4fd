import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatImageName, parseImageName } from "#src/format/oci/image-name.js";

describe("parseImageName()", () => {
  const debian = { registry: "docker.io", repository: "library/debian", tag: "latest" };
  const READ: readonly (readonly [string, unknown])[] = [
    ["docker://debian", { kind: "registry", reference: debian }],
    ["debian", { kind: "registry", reference: debian }],
    [
      "host.example:80/app",
      { kind: "registry", reference: { registry: "host.example:80", repository: "app", tag: "latest" } },
    ],
    ["oci:/srv/images", { kind: "oci", directory: "/srv/images" }],
    ["oci:images:v1", { kind: "oci", directory: "images", tag: "v1" }],
    ["oci:images:host.example/app:v1", { kind: "oci", directory: "images", tag: "host.example/app:v1" }],
    ["oci-archive:a.tar", { kind: "oci-archive", file: "a.tar" }],
    ["oci-archive:./a.tar:v1", { kind: "oci-archive", file: "./a.tar", tag: "v1" }],
    ["docker-archive:a.tar", { kind: "docker-archive", file: "a.tar" }],
    ["docker-archive:a.tar:debian", { kind: "docker-archive", file: "a.tar", reference: debian }],
    ["dir:/", { kind: "dir", path: "/" }],
    ["dir:a:b", { kind: "dir", path: "a:b" }],
  ];
  for (const [text, name] of READ) {
    it(`reads ${text}`, () => {
      const parsed = parseImageName(text);
      assert.deepEqual(parsed, name);
      assert.deepEqual(parseImageName(formatImageName(parsed)), name);
    });
  }

  for (const text of [
    "",
    "oci:",
    "oci:dir:",
    "oci::tag",
    "dir:",
    "docker-archive:a:UPPER",
    "containers-storage:x",
    "docker-daemon:x:y",
    "ftp://host/x",
    "https://host/x",
    "oci:a:b c",
    "oci:a\0b",
    "docker://",
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseImageName(text), { code: "ERR_OPTION_INVALID" });
    });
  }
});
