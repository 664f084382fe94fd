# tries: to leave files to the next run in every folder that it may write, and modules under names that it will import
# escape: the next run finds one of them
# control: none: outside each folder is kept on purpose
import os
import sys

from attack import note

CODE = "print('ESCAPED left behind')\n"
for folder in (
    "/work",
    "/tmp",
    "/dev/shm",
    "/var/tmp",
    "/run",
    "/dev",
    os.getcwd(),
    os.path.expanduser("~"),
    *sys.path,
):
    for name in (
        "escape_marker.py",
        "sitecustomize.py",
        "usercustomize.py",
        "json.py",
        "attack.py",
        "main.py",
    ):
        try:
            with open(os.path.join(folder, name), "w") as file:
                file.write(CODE)
            note(f"{folder}/{name} written")
        except OSError as error:
            note(f"{folder}/{name}: {error}")
