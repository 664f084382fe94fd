# tries: to find what earlier and simultaneous runs were, in the memory that it inherited
# escape: an earlier run's secret is in the memory
# control: none: outside nothing is inherited
# alone: no
import gc
import re

from attack import note

MARK = re.compile(rb"(NEIGHBOUR|EARLIER)-" + rb"SECRET-[0-9a-f]{8,}")
count = 0
with open("/proc/self/maps") as maps:
    regions = [line.split()[:2] for line in maps if "[v" not in line]
with open("/proc/self/mem", "rb", buffering=0) as memory:
    for region, rights in regions:
        start, end = (int(part, 16) for part in region.split("-"))
        if "r" not in rights or end - start > 256 << 20:
            continue
        try:
            memory.seek(start)
            text = memory.read(end - start)
        except OSError:
            continue
        count += len(text)
        found = MARK.search(text)
        if found:
            print("ESCAPED", found.group())
            break
note(f"{count >> 20} MiB of own memory, {len(gc.get_objects())} objects")
