# tries: to claim a terabyte on the disk
# escape: the claim is granted: reading or copying it would cost the host that much
# outcome: exited signalled
# control: none: a full disk or a small one would refuse it outside
import os
import signal

from attack import must_fail

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for call in (os.ftruncate, lambda file, size: os.posix_fallocate(file, 0, size),
             lambda file, size: os.pwrite(file, b"x", size)):  # fmt: skip
    file = os.open("sparse", os.O_CREAT | os.O_RDWR)
    must_fail("sparse", lambda call=call, file=file: call(file, 1 << 40) or "granted")
    os.unlink("sparse")
