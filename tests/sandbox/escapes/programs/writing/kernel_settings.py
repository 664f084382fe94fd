# tries: to open the switches of the kernel for writing: core_pattern runs a program as root, sysrq reboots
# escape: one of them opens
# control: outside
# needs: root
import glob
import os

from attack import must_fail

PATHS = ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger",
         "/proc/sys/net/ipv4/ip_forward", "/sys/kernel/uevent_helper", "/sys/power/state",
         *glob.glob("/sys/fs/cgroup/*/cgroup.procs"), *glob.glob("/sys/fs/cgroup/*/release_agent"),
         *glob.glob("/sys/fs/cgroup/cgroup.procs"), "/proc/1/oom_score_adj", "/proc/1/mem", "/proc/acpi/wakeup",
         "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/self/setgroups"]  # fmt: skip
for path in PATHS:
    must_fail(path, lambda path=path: os.close(os.open(path, os.O_WRONLY)))
