# tries: to read the environments and command lines of every process that it can see, and those of a known one
# escape: a secret is in the output
# control: outside
import glob
from pathlib import Path

from attack import note, show, targets

victim = targets["victim"]
show("environment of the victim", Path(f"/proc/{victim}/environ").read_bytes)
show("command line of the victim", Path(f"/proc/{victim}/cmdline").read_bytes)
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        note(f"{path}: {error}")
    else:
        if b"SECRET" in text:
            note(f"{path} -> {text!r}")
