# tries: to find the files, inputs and memory of runs that are going on at the same time in the same sandbox machinery
# escape: a neighbour's secret is in the output
# control: none: only neighbours have neighbours; that theirs holds a secret is asserted by their own runs
# alone: no
import glob
import os
import time

from attack import note

MARK = b"NEIGHBOUR-" + b"SECRET"
PLACES = (
    "/work",
    "/work/..",
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/run",
    "/home",
    "/root",
    "/mnt",
    "/proc/1/cwd",
)
start = time.monotonic()
note("neighbours")
while time.monotonic() - start < 1:
    paths = [path for place in PLACES for path in glob.glob(f"{place}/*") + glob.glob(f"{place}/*/*")]
    for process in glob.glob("/proc/[0-9]*"):
        if process != f"/proc/{os.getpid()}":
            paths += [f"{process}/cmdline", f"{process}/environ", *glob.glob(f"{process}/cwd/*"),
                      *glob.glob(f"{process}/root/work/*"), *glob.glob(f"{process}/fd/*")]  # fmt: skip
    for path in paths:
        try:
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    text = file.read(1 << 20)
                if MARK in text:
                    print("ESCAPED", path, text[:200])
        except OSError:
            continue
    time.sleep(0.1)
