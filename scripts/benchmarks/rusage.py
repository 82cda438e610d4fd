"""Runs a command and prints what it cost as one JSON line on descriptor 3.

wallSeconds, cpuSeconds (user and system, with all its children) and peakBytes (largest single process).
"""

import json
import os
import resource
import subprocess
import sys
import time

started = time.monotonic()
status = subprocess.call(sys.argv[1:])
wall = time.monotonic() - started
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
line = json.dumps(
    {
        "wallSeconds": wall,
        "cpuSeconds": usage.ru_utime + usage.ru_stime,
        "peakBytes": usage.ru_maxrss * 1024,
        "status": status,
    }
)
os.write(3, line.encode())
sys.exit(0)
