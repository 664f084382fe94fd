# tries: to climb out of the working folder with .. and through a symbolic link
# escape: a secret is in the output
# control: outside
import os
from pathlib import Path

from attack import show, targets

up = "../" * 40
for place, path in targets["canaries"].items():
    show(f"{place} over ..", Path(up + path).read_text)
    os.symlink(path, f"link-{place}")
    show(f"{place} through a link", Path(f"link-{place}").read_text)
    show(f"{place} through a hard link", lambda path=path, place=place: os.link(path, f"hard-{place}"))
