# tries: to read the kernel's memory and log through device files and system calls
# escape: one of them opens
# control: outside
# needs: root
import ctypes
import os

from attack import must_fail, syscall

for path in ("/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/proc/kcore", "/proc/kmsg", "/dev/kvm", "/dev/vda",
             "/dev/sda", "/dev/fuse", "/dev/net/tun", "/dev/loop-control"):  # fmt: skip
    must_fail(path, lambda path=path: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK)))
log = ctypes.create_string_buffer(4096)
must_fail("syslog", lambda: syscall(103, 3, log, 4096))
