# tries: to have the host delete its own files: puts links to a folder of the host where the clean-up will come by
# escape: a file of the host's folder is gone, or something is left in the folders for temporary files
# control: none: nobody cleans up outside
import os
import shutil

from attack import note, show, targets

folder = os.path.dirname(targets["canaries"]["tmp"])
show("link", lambda: os.symlink(folder, "link"))
for place in (".", "/tmp", "/dev/shm"):
    os.makedirs(f"{place}/nested/deeper", exist_ok=True)
    show(f"link in {place}", lambda place=place: os.symlink(folder, f"{place}/nested/deeper/link"))
note("the working folder itself")
os.makedirs("/tmp/elsewhere", exist_ok=True)
show("rename /work", lambda: os.rename("/work", "/tmp/elsewhere/work"))
show("remove /work", lambda: shutil.rmtree("/work"))
show("link as /work", lambda: os.symlink(folder, "/work"))
