# tries: to have the host read an output that claims a terabyte and holds nothing
# escape: the output comes back larger than the limit on files, or the host's memory grows
# outcome: exited signalled output memory
# through: compile huge
# control: none: outside nobody fetches outputs
from attack import note

note("sparse output")
with open("huge", "wb") as file:
    for size in (1 << 40, 1 << 34, 1 << 31):
        try:
            file.truncate(size)
            break
        except OSError as error:
            note(f"{size}: {error}")
