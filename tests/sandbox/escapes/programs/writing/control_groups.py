# tries: to leave its control group, or make one with a release agent of its own
# escape: a control group can be made or entered
# control: outside
# needs: cgroups
import glob
import os

from attack import must_fail, note

note("control groups")
for root in {"/sys/fs/cgroup", *glob.glob("/sys/fs/cgroup/*/"), "/proc/1/root/sys/fs/cgroup"}:
    group = os.path.join(root, "dunwu_escape_probe")

    def make(group=group):
        os.mkdir(group)
        os.rmdir(group)

    if not os.path.exists(os.path.join(root, "cgroup.procs")):
        note(f"{root}: no control groups here")
        continue
    must_fail(group, make)
    must_fail(f"{root} entered", lambda root=root: os.close(os.open(f"{root}/cgroup.procs", os.O_WRONLY)))
