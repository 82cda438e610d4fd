import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isCoded } from "#src/base/errors.js";
import { parseHostsFile } from "#src/registry/hosts-file.js";

const parse = (text: string): ReturnType<typeof parseHostsFile> =>
  parseHostsFile(text, "/etc/certs.d/r.test/hosts.toml", "/etc/certs.d/r.test", "r.test");
const ALL = ["pull", "resolve", "push"];

describe("parseHostsFile()", () => {
  it("reads every key, mirrors in their order, files relative to the folder", () => {
    const text = `
server = "https://upstream.test"
ca = "root.pem"

[host."https://zeta.test/proxy"]
  capabilities = ["pull", "resolve"]
  ca = ["one.pem", "/abs/two.pem"]
  client = [["client.cert", "client.key"]]
  override_path = true
  dial_timeout = "5s"
  [host."https://zeta.test/proxy".header]
    X-One = "1"
    x-two = ["2", "3"]

[host."http://alpha.test:5000"]
  client = "both.pem"
  skip_verify = false
`;
    const none = { certificateFiles: [], clientFiles: undefined, headers: {}, isPathWhole: false };
    assert.deepEqual(parse(text), {
      mirrors: [
        {
          server: "https://zeta.test/proxy",
          needs: ["pull", "resolve"],
          certificateFiles: ["/etc/certs.d/r.test/one.pem", "/abs/two.pem"],
          clientFiles: ["/etc/certs.d/r.test/client.cert", "/etc/certs.d/r.test/client.key"],
          headers: { "x-one": "1", "x-two": "2, 3" },
          isPathWhole: true,
        },
        {
          ...none,
          server: "http://alpha.test:5000",
          needs: ALL,
          clientFiles: ["/etc/certs.d/r.test/both.pem", "/etc/certs.d/r.test/both.pem"],
        },
      ],
      registry: {
        ...none,
        server: "https://upstream.test",
        needs: ALL,
        certificateFiles: ["/etc/certs.d/r.test/root.pem"],
      },
    });
    assert.equal(parse("").registry.server, "r.test");
  });

  const wrong: readonly (readonly [string, string])[] = [
    ["no TOML", 'server = "s3cr3t'],
    ["a host that is no table", 'host = "s3cr3t"'],
    ["a server that is no string", "server = 1"],
    ["an unknown key", '[host."https://m.test"]\nrewrite = "s3cr3t"'],
    ["an unknown capability", '[host."https://m.test"]\ncapabilities = ["s3cr3t"]'.replace("s3cr3t", "fly")],
    ["skip_verify", '[host."https://m.test"]\nskip_verify = true'],
    ["several client certificates", '[host."https://m.test"]\nclient = ["a", "b"]'],
    ["a header with a line break", '[host."https://m.test".header]\na = "s3cr3t\\r\\nb: c"'],
    ["a header with a wrong name", '[host."https://m.test".header]\n"a:b" = "s3cr3t"'],
    ["a file name that is no string", "ca = [1]"],
  ];
  for (const [what, text] of wrong) {
    it(`refuses ${what}, and shows no value`, () => {
      assert.throws(
        () => parse(text),
        (error) => isCoded(error, "ERR_OPTION_INVALID") && !error.message.includes("s3cr3t"),
      );
    });
  }

  it("refuses more mirrors and bytes than its limits", () => {
    const many = Array.from({ length: 65 }, (_, index) => `[host."https://m${index}.test"]`).join("\n");
    for (const text of [many, `# ${"x".repeat(2 ** 20)}`]) {
      assert.throws(() => parse(text), { code: "ERR_OPTION_INVALID" });
    }
  });
});
