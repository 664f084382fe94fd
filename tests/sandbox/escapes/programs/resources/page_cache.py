# tries: to have files that it only reads counted to its machinery, so that the next run there starts from a higher mark
# escape: a following run gets more than the limit
# control: none: the run that follows is the measure
import os

from attack import note

total = 0
for folder, _, files in os.walk("/usr/lib"):
    for name in files:
        try:
            file = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            continue
        size = os.fstat(file).st_size
        if 1 << 20 < size < 64 << 20:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            while part := len(os.read(file, 1 << 20)):
                total += part
        os.close(file)
    if total > 200 << 20:
        break
note(f"{total >> 20} MiB read")
