# tries: to read the host's secrets in the home folder, in /tmp and in the checkout by their paths
# escape: a secret is in the output
# control: outside
from pathlib import Path

from attack import show, targets

for place, path in targets["canaries"].items():
    show(place, Path(path).read_text)
