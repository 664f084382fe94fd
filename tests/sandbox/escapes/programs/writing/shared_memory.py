# tries: to leave things in memory that belongs to the machine: SysV segments, message queues, semaphores
# escape: the host sees one of them afterwards
# control: outside
# needs: ipc
import ctypes

from attack import show, syscall, targets

key = targets["ipc_key"]
show("shmget", lambda: syscall(29, ctypes.c_int(key), ctypes.c_size_t(4096), 0o1666))
show("msgget", lambda: syscall(68, ctypes.c_int(key), 0o1666))
show("semget", lambda: syscall(64, ctypes.c_int(key), 1, 0o1666))
