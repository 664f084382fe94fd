// tries: to read and plant keys in the kernel's key rings, which no namespace of files or processes holds back
// escape: a key can be planted, or a ring described
// control: outside
// needs: keys
#include <linux/keyctl.h>

#include "attack.hpp"

int main() {
    const long session = KEY_SPEC_SESSION_KEYRING, user = KEY_SPEC_USER_KEYRING;
    must_fail("add_key", syscall(SYS_add_key, "user", "dunwu-escape", "x", 1L, session));
    must_fail("request_key", syscall(SYS_request_key, "user", "dunwu-escape", nullptr, session));
    must_fail("keyctl: session ring", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, session, 0L));
    must_fail("keyctl: user ring", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, user, 0L));
    syscall(SYS_keyctl, KEYCTL_INVALIDATE, syscall(SYS_keyctl, KEYCTL_SEARCH, session, "user", "dunwu-escape", 0L));
}
