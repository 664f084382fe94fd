# tries: to find secrets of the process that started it in its own environment and in those of its ancestors
# escape: a secret is in the output
# control: outside
import os
from pathlib import Path

from attack import show

show("own", lambda: dict(os.environ))
for pid in ("self", os.getppid(), 1):
    show(f"environment of {pid}", Path(f"/proc/{pid}/environ").read_bytes)
