# tries: to become another user, or more: setuid calls, setuid programs, capabilities
# escape: one of them works, or the door for it (new privileges) stands open
# control: outside
# needs: root
import os
import shutil
import stat

from attack import must_fail, note

with open("/proc/self/status") as status:
    facts = {name: value.strip() for name, value in (line.split(":", 1) for line in status)}
note(str({name: facts.get(name) for name in ("Uid", "NoNewPrivs", "Seccomp", "CapEff", "CapBnd", "CapPrm")}))
for name, wanted in (("NoNewPrivs", 1), ("Seccomp", 2)):
    if int(facts[name]) != wanted:
        print("ESCAPED", name, "is", facts[name])
for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh"):
    if int(facts[name], 16) != 0:
        print("ESCAPED", name, "is", facts[name])
must_fail("setresuid", lambda: os.setresuid(12345, 12345, 12345))


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


must_fail("map of users", lambda: write("/proc/self/uid_map", "0 0 4294967295"))
must_fail("setgroups", lambda: os.setgroups([0, 27]))
for program in ("su", "mount", "passwd", "sudo", "pkexec", "newuidmap"):
    path = shutil.which(program)
    if path and os.stat(path).st_mode & stat.S_ISUID:
        note(f"{path} is setuid; without new privileges that means nothing")
