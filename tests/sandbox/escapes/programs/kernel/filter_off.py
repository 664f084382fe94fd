# tries: to take its chains off: prctl to make itself dumpable and traceable, a filter of its own that allows all
# escape: a forbidden call (unshare of a user namespace) works afterwards
# control: outside
import ctypes

from attack import must_fail, show, syscall

PRCTL, UNSHARE, SECCOMP = 157, 272, 317
ALLOW = ctypes.create_string_buffer(b"\x06\0\0\0\0\0\xff\x7f", 8)  # BPF: return SECCOMP_RET_ALLOW


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


program = Program(1, ctypes.addressof(ALLOW))
show("PR_SET_NO_NEW_PRIVS 0", lambda: syscall(PRCTL, 38, 0, 0, 0, 0))
show("PR_SET_DUMPABLE", lambda: syscall(PRCTL, 4, 1, 0, 0, 0))
show("PR_SET_PTRACER any", lambda: syscall(PRCTL, 0x59616D61, ctypes.c_long(-1), 0, 0, 0))
show("PR_SET_KEEPCAPS", lambda: syscall(PRCTL, 8, 1, 0, 0, 0))
show("PR_SET_SECCOMP off", lambda: syscall(PRCTL, 22, 0, 0, 0, 0))
show("seccomp, a filter that allows all", lambda: syscall(SECCOMP, 1, 0, ctypes.byref(program)))
must_fail("unshare", lambda: syscall(UNSHARE, 0x10000000))
