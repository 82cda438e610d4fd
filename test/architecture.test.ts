import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, it } from "node:test";
import { ROOT } from "./support/fixtures.ts";

/** Which folders of src a folder may import, beside itself. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  base: [],
  format: ["base"],
  image: ["base", "format"],
  native: ["base"],
  codec: ["base", "native"],
  net: ["base"],
  telemetry: ["base"],
  store: ["base", "format", "codec"],
  registry: ["base", "format", "net", "store"],
  layout: ["base", "format", "net", "store"],
  backend: ["base", "format", "net", "store"],
  peer: ["base", "format", "net", "store", "telemetry"],
  convert: ["base", "format", "image", "codec", "store", "telemetry"],
  mount: ["base", "format", "image", "codec", "native", "store", "telemetry"],
  daemon: ["base", "format", "image", "net", "store", "mount", "telemetry"],
  node: ["base", "net", "native", "telemetry"],
  snapshotter: ["base", "format", "net", "registry", "node", "telemetry"],
  app: [
    "base",
    "format",
    "image",
    "codec",
    "net",
    "native",
    "telemetry",
    "store",
    "registry",
    "layout",
    "backend",
    "peer",
    "convert",
    "mount",
    "daemon",
    "node",
    "snapshotter",
  ],
  cli: ["base", "app"],
};

/** Folders without I/O, clock, randomness or environment. */
const PURE = ["base", "format", "image"];
const IMPURE_GLOBALS = /\b(?:Date\.now|new Date\(\)|Math\.random|process\.|performance\.now)/;
const MAX_LINES = 400;

const SOURCE = join(ROOT, "src");
const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .sort();

function importsOf(text: string): string[] {
  const pattern = /(?:from|import)\s*\(?\s*"([^"]+)"|new URL\(\s*"([^"]+)",\s*import\.meta\.url/g;
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[2] ?? "");
}

function targetOf(path: string, specifier: string): string {
  return relative(SOURCE, resolve(dirname(join(SOURCE, path)), specifier)).replace(/\.js$/, ".ts");
}

describe("the folders of src", () => {
  it("import only what the table allows", () => {
    const wrong: string[] = [];
    for (const path of files) {
      const folder = path.split("/")[0] ?? "";
      const allowed = ALLOWED[folder];
      if (allowed === undefined) {
        wrong.push(`${path}: folder ${folder} is not in the table`);
        continue;
      }
      for (const specifier of importsOf(readFileSync(join(SOURCE, path), "utf8"))) {
        if (!specifier.startsWith(".")) continue;
        const target = targetOf(path, specifier).split("/")[0] ?? "";
        if (target !== folder && !allowed.includes(target)) {
          wrong.push(`${path} imports ${specifier}; ${folder} may import ${allowed.join(", ") || "nothing"}`);
        }
      }
    }
    assert.deepEqual(wrong, []);
  });

  it("keep I/O, clock and randomness out of the pure ones", () => {
    const wrong: string[] = [];
    for (const path of files.filter((file) => PURE.includes(file.split("/")[0] ?? ""))) {
      const text = readFileSync(join(SOURCE, path), "utf8");
      for (const specifier of importsOf(text)) {
        if (!specifier.startsWith(".")) wrong.push(`${path} imports ${specifier}`);
      }
      const global = IMPURE_GLOBALS.exec(text);
      if (global !== null) wrong.push(`${path} uses ${global[0]}`);
    }
    assert.deepEqual(wrong, []);
  });

  it("have no import cycle", () => {
    const edges = new Map<string, string[]>();
    for (const path of files) {
      const text = readFileSync(join(SOURCE, path), "utf8").replace(/import type [^;]+;/g, "");
      edges.set(
        path,
        importsOf(text)
          .filter((specifier) => specifier.startsWith("."))
          .map((specifier) => targetOf(path, specifier)),
      );
    }
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(" -> "));
      if (done.has(path) || trail.includes(path)) return;
      for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
      done.add(path);
    };
    for (const path of files) visit(path, []);
    assert.deepEqual(cycles, []);
  });

  it(`have no file over ${MAX_LINES} lines`, () => {
    const long = files
      .map((path) => ({ path, lines: readFileSync(join(SOURCE, path), "utf8").split("\n").length - 1 }))
      .filter(({ lines }) => lines > MAX_LINES);
    assert.deepEqual(long, []);
  });

  it("know nothing above ChunkSource of where bytes come from", () => {
    const above = /^(?:mount|daemon)\/|^store\/(?:cached-blobs?|chunk-cache|single-flight|read-ahead)\.ts$/;
    const wrong = files.filter((path) => {
      const imported = readFileSync(join(SOURCE, path), "utf8").match(/import [^;]*;/g) ?? [];
      return above.test(path) && imported.some((line) => /\b(?:BlobSource|DecodedSource)\b/.test(line));
    });
    assert.deepEqual(wrong, []);
  });

  it("reach the addon only through src/native", () => {
    const wrong = files.filter(
      (path) =>
        !path.startsWith("native/") && /\.node"|createRequire/.test(readFileSync(join(SOURCE, path), "utf8")),
    );
    assert.deepEqual(wrong, []);
  });
});
