# tries: to read the host's open sockets from /proc
# escape: the name of the host's abstract socket is in the tables
# control: outside
import glob

from attack import note, targets

for path in ["/proc/net/unix", *glob.glob("/proc/[0-9]*/net/unix")]:
    try:
        with open(path) as table:
            found = targets["abstract"] in table.read()
        note(path)
        if found:
            print("ESCAPED the host's sockets are listed in", path)
    except OSError as error:
        note(f"{path}: {error}")
