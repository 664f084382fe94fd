# tries: to find a limit that was forgotten
# escape: no limit on processor seconds, file size, open files, processes or core files is in force
# control: outside
import resource

from attack import note

WANTED = ("RLIMIT_FSIZE", "RLIMIT_CPU", "RLIMIT_STACK")
for name in WANTED:
    soft, hard = resource.getrlimit(getattr(resource, name))
    note(f"{name} {soft} {hard}")
    if hard == resource.RLIM_INFINITY:
        print("ESCAPED no hard limit:", name)
if (
    max(resource.getrlimit(resource.RLIMIT_CORE)) > 1
):  # one byte keeps even a handler of crashes from being started
    print("ESCAPED core files:", resource.getrlimit(resource.RLIMIT_CORE))
