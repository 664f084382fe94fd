// tries: the calls that load code into the kernel or hand over its insides: bpf, perf, userfaultfd, modules, kexec, ports
// escape: one of them gets past the check of rights
// control: outside
// needs: root
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sys/io.h>

#include "attack.hpp"

// Wrong arguments on purpose: an answer other than "not permitted" or "no such call" shows that the kernel looked at them.
static void looked_at(const char *what, long result) {
    bool refused = result == -1 && (errno == EPERM || errno == ENOSYS || errno == EACCES);
    must_fail(what, refused ? -1 : 0);
}

int main() {
    bpf_attr map{};
    map.map_type = BPF_MAP_TYPE_ARRAY;
    map.key_size = 4;
    map.value_size = 8;
    map.max_entries = 1;
    must_fail("bpf map", syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map)));
    perf_event_attr event{};
    event.size = sizeof(event);
    event.type = PERF_TYPE_SOFTWARE;
    event.config = PERF_COUNT_SW_CPU_CLOCK;
    must_fail("perf_event_open", syscall(SYS_perf_event_open, &event, 0, -1, -1, 0));
    must_fail("perf_event_open, without kernel", syscall(SYS_perf_event_open, &(event.exclude_kernel = 1, event), 0, -1, -1, 0));
    must_fail("userfaultfd", syscall(SYS_userfaultfd, 0));
    must_fail("userfaultfd, user mode only", syscall(SYS_userfaultfd, 1));
    must_fail("fanotify_init", syscall(SYS_fanotify_init, 0, 0));
    looked_at("init_module", syscall(SYS_init_module, nullptr, 0L, nullptr));
    looked_at("finit_module", syscall(SYS_finit_module, -1, "", 0));
    looked_at("delete_module", syscall(SYS_delete_module, "dunwu_no_such_module", 0));
    looked_at("kexec_load", syscall(SYS_kexec_load, 0L, 0L, nullptr, 1UL << 40));
    looked_at("swapon", syscall(SYS_swapon, "/dunwu-no-such-file", 0));
    looked_at("acct", syscall(SYS_acct, "/dunwu-no-such-file"));
    looked_at("quotactl", syscall(SYS_quotactl, 0x80000100, "/dunwu-no-such-file", 0, nullptr));
    looked_at("iopl", iopl(0));
    looked_at("ioperm", ioperm(0x80, 1, 1));
    looked_at("lookup_dcookie", syscall(SYS_lookup_dcookie, 0L, nullptr, 0L));
}
