import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { redactText } from "#src/telemetry/redact-text.js";

const SECRET = "s3cr3t-Value_1";

describe("redactText()", () => {
  for (const text of [
    `https://someone:${SECRET}@registry.example/v2/ does not answer`,
    `https://${SECRET}@registry.example/v2/`,
    `http://proxy:80/blob?X-Amz-Signature=${SECRET}&X-Amz-Date=1 broke off`,
    `refused the header Authorization: Bearer ${SECRET}`,
    `refused "authorization":"Basic ${SECRET}=="`,
    `password=${SECRET}`,
    `{"identity_token": "${SECRET}", "user": "x"}`,
    `client_secret: '${SECRET}'`,
    `Bearer ${SECRET}`,
  ]) {
    it(`takes the secret out of ${text.replaceAll(SECRET, "…")}`, () => {
      const cleaned = redactText(text);
      assert.equal(cleaned.includes(SECRET), false, cleaned);
      assert.ok(cleaned.includes("***"), cleaned);
    });
  }

  for (const text of [
    "registry 127.0.0.1:5000/app has no blob sha256:0123456789abcdef",
    "https://registry.example/v2/app/blobs/sha256:00 does not answer: nothing for 30000 ms",
    "engine erofs: the kernel reads no RAFS v5 images",
    "credentials are given for an image that is in no registry",
  ]) {
    it(`leaves ${text}`, () => assert.equal(redactText(text), text));
  }

  it("bounds the length, and takes time by it", () => {
    const begin = performance.now();
    assert.equal(redactText("https://a".repeat(1_000_000)).length, 4097);
    assert.ok(performance.now() - begin < 1000);
  });
});
