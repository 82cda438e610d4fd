"""Does for one unit what systemd does: passes a listening control socket, takes and keeps descriptors (FDSTORE=1), hands
them to the next start, and starts the program again whenever it ends. Prints every notification as a line.

Arguments: notify socket, control socket, program and its arguments. SIGTERM ends it and the program.
"""
import os
import signal
import socket
import sys
import threading

notify_path, control_path, *command = sys.argv[1:]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(notify_path)
control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
control.bind(control_path)
os.chmod(control_path, 0o600)
control.listen(64)
stored = {}
state = {"pid": 0, "stopping": False}


def receive():
    while True:
        data, ancillary, _, _ = notify.recvmsg(65536, socket.CMSG_SPACE(4))
        fields = dict(line.split("=", 1) for line in data.decode().split("\n") if "=" in line)
        name = fields.get("FDNAME", "stored")
        if "FDSTOREREMOVE" in fields and name in stored:
            os.close(stored.pop(name))
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                stored[name] = int.from_bytes(payload[:4], sys.byteorder)
        print(data.decode().replace("\n", " "), flush=True)


def start():
    passed = [("control", control.fileno()), *stored.items()]
    pid = os.fork()
    if pid != 0:
        return pid
    # Out of the way of the numbers they shall have.
    moved = [os.dup2(fd, 200 + at, inheritable=False) for at, (_, fd) in enumerate(passed)]
    for at, fd in enumerate(moved):
        os.dup2(fd, 3 + at, inheritable=True)
    os.environ.update(
        NOTIFY_SOCKET=notify_path,
        FDSTORE="4",
        LISTEN_PID=str(os.getpid()),
        LISTEN_FDS=str(len(passed)),
        LISTEN_FDNAMES=":".join(name for name, _ in passed),
    )
    os.execvp(command[0], command)


def stop(*_):
    state["stopping"] = True
    os.kill(state["pid"], signal.SIGTERM)


signal.signal(signal.SIGTERM, stop)
threading.Thread(target=receive, daemon=True).start()
while not state["stopping"]:
    state["pid"] = start()
    os.waitpid(state["pid"], 0)
