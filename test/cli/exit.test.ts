import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CommanderError } from "commander";
import { CodedError, ERRORS, type ErrorCode } from "#src/base/errors.js";
import { failureOf } from "#src/cli/exit.js";

describe("failureOf()", () => {
  it("gives every code its exit status", () => {
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      const failure = failureOf(new CodedError(code, "message"));
      assert.deepEqual(failure, { exit: ERRORS[code].exit, code, message: "message" });
    }
  });

  it("adds what causes say, once", () => {
    const system = new Error("ENOSPC: no space left on device, write");
    const inner = new CodedError("ERR_TARGET_IO", "cannot write /tmp/x", { cause: system });
    const outer = new CodedError("ERR_TARGET_IO", "layer 2: cannot write /tmp/x", { cause: inner });
    assert.equal(
      failureOf(outer).message,
      "layer 2: cannot write /tmp/x: ENOSPC: no space left on device, write",
    );
  });

  it("names an errno once", () => {
    const cause = new Error("ENOSPC: no space left on device, write");
    assert.equal(
      failureOf(new CodedError("ERR_TARGET_IO", "a.tar cannot be written: ENOSPC", { cause })).message,
      "a.tar cannot be written: ENOSPC: no space left on device, write",
    );
  });

  it("keeps strangers' names from moving the cursor or starting a line", () => {
    const failure = failureOf(new CodedError("ERR_LAYER_INVALID", "path a\nb\u001b[2Jc\u009bd"));
    assert.equal(failure.message, "path a b [2Jc d");
  });

  it("tells of the failure, not of the one of cleaning up after it", async () => {
    const failing = async (): Promise<void> => {
      await using _scope = { [Symbol.asyncDispose]: () => Promise.reject(new Error("cannot remove")) };
      throw new CodedError("ERR_TARGET_IO", "disk full");
    };
    const error = await failing().catch((reason: unknown) => reason);
    assert.deepEqual(failureOf(error), { exit: 5, code: "ERR_TARGET_IO", message: "disk full" });
  });

  it("takes wrong usage for wrong usage and anything unknown for a bug", () => {
    const usage = new CommanderError(1, "commander.unknownOption", "error: unknown option '--x'");
    assert.deepEqual(failureOf(usage), {
      exit: 2,
      code: "ERR_OPTION_INVALID",
      message: "unknown option '--x'",
    });
    assert.deepEqual(failureOf(new TypeError("oops")), {
      exit: 1,
      code: "ERR_UNCLASSIFIED",
      message: "oops",
    });
  });
});
