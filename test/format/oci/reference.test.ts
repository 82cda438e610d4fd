import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isCoded } from "#src/base/errors.js";
import { formatReference, parseReference } from "#src/format/oci/reference.js";

const DIGEST = `sha256:${"ab".repeat(32)}`;

describe("parseReference()", () => {
  const READ: readonly (readonly [text: string, canonical: string])[] = [
    ["debian", "docker.io/library/debian:latest"],
    ["debian:bookworm", "docker.io/library/debian:bookworm"],
    ["me/app", "docker.io/me/app:latest"],
    ["docker.io/debian", "docker.io/library/debian:latest"],
    ["index.docker.io/debian", "docker.io/library/debian:latest"],
    ["host.example/app", "host.example/app:latest"],
    ["localhost/app:1", "localhost/app:1"],
    ["localhost:5000/a/b/c:V_1.2-x", "localhost:5000/a/b/c:V_1.2-x"],
    ["127.0.0.1:5000/app", "127.0.0.1:5000/app:latest"],
    ["[::1]:5000/app", "[::1]:5000/app:latest"],
    [`host.example/app@${DIGEST}`, `host.example/app@${DIGEST}`],
    [`host.example/app:1@${DIGEST}`, `host.example/app:1@${DIGEST}`],
    ["a__b/c---d/e.f", "docker.io/a__b/c---d/e.f:latest"],
  ];
  for (const [text, canonical] of READ) {
    it(`reads ${text}`, () => {
      const reference = parseReference(text);
      assert.equal(formatReference(reference), canonical);
      assert.deepEqual(parseReference(canonical), reference);
    });
  }

  const REFUSED = [
    "",
    ":tag",
    "app:",
    "App/x/y z",
    "host.example/App",
    "host.example/",
    "host.example//app",
    "host.example:99999/app",
    "-host.example/app",
    "host.example/app:-tag",
    `host.example/app:${"t".repeat(129)}`,
    "host.example/app@sha256:abc",
    `host.example/app@md5:${"a".repeat(32)}`,
    `host.example/${"a".repeat(256)}`,
    "host.example/../app",
    "host.example/a?b",
    "host.example/a%2fb",
    "user@host.example/app",
    "a".repeat(5000),
  ];
  for (const text of REFUSED) {
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      assert.throws(() => parseReference(text), { code: "ERR_OPTION_INVALID" });
    });
  }

  it("gives a reference that reads back the same, or a coded error, for any text", () => {
    const character = fc.constantFrom(..."aB0.:/@-_[]", "sha256:");
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 60 }), (text) => {
        try {
          const reference = parseReference(text);
          assert.deepEqual(parseReference(formatReference(reference)), reference);
          assert.ok(
            new URL(`http://${reference.registry}/v2/${reference.repository}/`).pathname.endsWith(
              `/${reference.repository}/`,
            ),
          );
        } catch (error) {
          if (!isCoded(error, "ERR_OPTION_INVALID")) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});
