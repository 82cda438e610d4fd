import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { createConvertProgram } from "#src/cli/convert/convert-program.js";
import { EnvironmentCommand, finishCommand, runProgram } from "#src/cli/program.js";

const HELP = { examples: [["tool sub x", "Does it:"]] } as const;

/** A program of its own with one subcommand, which notes how it was called. */
function toolWith(status: number | undefined) {
  const calls: unknown[] = [];
  const program = new EnvironmentCommand("tool").enablePositionalOptions();
  program.argument("<source>");
  finishCommand(program, HELP, async (_run, operands) => {
    calls.push(["program", operands]);
  });
  const sub = program.command("sub").argument("<image>").option("--depth <number>", "how deep");
  finishCommand<{ depth?: string }>(sub, HELP, async (_run, operands, { depth, json }) => {
    calls.push(["sub", operands, depth, json]);
    return status;
  });
  return { program, calls };
}

afterEach(() => {
  process.exitCode = 0;
});

describe("runProgram()", () => {
  it("gives a subcommand the options behind its name, and its status to the process", async () => {
    const { program, calls } = toolWith(3);
    await runProgram(program, ["sub", "x", "--depth", "4", "--json"]);
    assert.deepEqual(calls, [["sub", ["x"], "4", true]]);
    assert.equal(process.exitCode, 3);
  });

  it("runs the program itself when the first operand is no subcommand", async () => {
    const { program, calls } = toolWith(undefined);
    await runProgram(program, ["elsewhere"]);
    assert.deepEqual(calls, [["program", ["elsewhere"]]]);
    assert.equal(process.exitCode, 0);
  });

  it("takes options of subcommands from the environment", async () => {
    process.env["NYDUS_DEPTH"] = "9";
    try {
      const { program, calls } = toolWith(undefined);
      await runProgram(program, ["sub", "x"]);
      assert.deepEqual(calls, [["sub", ["x"], "9", undefined]]);
    } finally {
      delete process.env["NYDUS_DEPTH"];
    }
  });
});

describe("createConvertProgram()", () => {
  it("has an environment variable for every option but help and version", () => {
    const options = createConvertProgram().options.filter(({ long }) => long !== "--version");
    assert.deepEqual(
      options.filter(({ envVar }) => !envVar?.startsWith("NYDUS_")).map(({ long }) => long),
      [],
    );
  });
});
