# tries: to create files in folders of the host, by path and by way of ..
# escape: a file appears there
# control: outside
import os

from attack import show, targets


def write(path):
    with open(path, "w") as file:
        file.write("was here")


name = targets["name"].replace("/", "-")
show("folder", lambda: write(os.path.join(targets["folder"], name)))
show("folder over ..", lambda: write("../" * 40 + os.path.join(targets["folder"], name).lstrip("/")))
for place, path in targets["canaries"].items():
    show(place, lambda path=path: write(os.path.join(os.path.dirname(path), name)))
