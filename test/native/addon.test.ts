import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, lstatSync, mkdtempSync, readSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { addon } from "#src/native/addon.js";

const native = addon();
const skip = native === undefined ? "the native addon is not built" : false;
const skipRoot = skip || (process.getuid?.() !== 0 ? "needs root" : false);

describe("addon()", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "addon-"));
  after(() => rmSync(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);
  // `describe` is skipped without the addon, so its tests may take it for granted.
  const calls = native as NonNullable<typeof native>;

  it("sets nanosecond times before 1970 on a symbolic link, not on its target", () => {
    writeFileSync(path("target"), "");
    symlinkSync("target", path("link"));
    const before = lstatSync(path("target"), { bigint: true }).mtimeNs;
    calls.lutimens(path("link"), { seconds: 7, nanoseconds: 1 }, { seconds: -2, nanoseconds: 999_999_999 });
    assert.equal(lstatSync(path("link"), { bigint: true }).mtimeNs, -1_000_000_001n);
    assert.equal(lstatSync(path("target"), { bigint: true }).mtimeNs, before);
  });

  it("reads back the extended attributes it set, on names that are not UTF-8", () => {
    const name = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0x80])]);
    writeFileSync(name, "");
    calls.lsetxattr(name, "user.a", Buffer.from([0, 1, 2]));
    calls.lsetxattr(name, "user.empty", Buffer.alloc(0));
    const names = calls.llistxattr(name).map((bytes) => Buffer.from(bytes).toString());
    assert.deepEqual(names.sort(), ["user.a", "user.empty"]);
    assert.deepEqual([...calls.lgetxattr(name, "user.a")], [0, 1, 2]);
    assert.equal(calls.lgetxattr(name, "user.empty").length, 0);
  });

  it("names errno and system call in its errors", async () => {
    assert.throws(() => calls.lgetxattr(path("absent"), "user.a"), {
      code: "ENOENT",
      errno: -2,
      syscall: "lgetxattr",
    });
    writeFileSync(path("plain"), "");
    assert.throws(() => calls.lgetxattr(path("plain"), "user.none"), { code: "ENODATA" });
    await assert.rejects(calls.umount2(path("absent"), 0), { code: /ENOENT|EPERM/, syscall: "umount2" });
    await assert.rejects(calls.mount("x", path("absent"), "erofs", 1, ""), { syscall: "mount" });
  });

  it("refuses arguments of the wrong kind", () => {
    assert.throws(() => calls.lgetxattr(Buffer.from("a\0b"), "user.a"), TypeError);
    assert.throws(() => calls.mknod(path("x"), 1.5, 0, 0), TypeError);
    assert.throws(() => calls.mknod(path("x"), 0o10644, -1, 0), TypeError);
    assert.throws(() => calls.mount("x", path("y"), "erofs", 1, "o".repeat(4096)), TypeError);
  });

  it("makes device nodes with their numbers", { skip: skipRoot }, (context) => {
    try {
      calls.mknod(path("device"), 0o20600, 4095, 1_048_575);
    } catch (error) {
      if ((error as { code: string }).code !== "EPERM") throw error;
      return context.skip("device nodes are not allowed here");
    }
    assert.equal(lstatSync(path("device")).rdev, 0xffff_ffff);
  });

  it("gives up waiting for a descriptor, and notices a closed socket", async () => {
    const [ours, theirs] = calls.socketpair();
    try {
      await assert.rejects(calls.receiveFd(ours, 20), { code: "ETIMEDOUT" });
      closeSync(theirs);
      await assert.rejects(calls.receiveFd(ours, 1000), { code: "ENOTCONN", syscall: "recvmsg" });
    } finally {
      closeSync(ours);
    }
  });

  it("receives a descriptor that a child sends", async (context) => {
    const [ours, theirs] = calls.socketpair();
    const program =
      "import socket,array,os\n" +
      "r,w=os.pipe(); os.write(w,b'hello'); os.close(w)\n" +
      "s=socket.socket(fileno=3); s.sendmsg([b'x'],[(socket.SOL_SOCKET,socket.SCM_RIGHTS,array.array('i',[r]))])";
    const child = spawn("python3", ["-c", program], { stdio: ["ignore", "inherit", "inherit", theirs] });
    const started = await new Promise<boolean>((resolve) => {
      child.on("error", () => resolve(false));
      child.on("spawn", () => resolve(true));
    });
    closeSync(theirs);
    if (!started) {
      closeSync(ours);
      return context.skip("needs python3 to send a descriptor");
    }
    const received = await calls.receiveFd(ours, 10_000);
    const buffer = Buffer.alloc(16);
    assert.equal(buffer.toString("latin1", 0, readSync(received, buffer)), "hello");
    closeSync(received);
    closeSync(ours);
  });
});
