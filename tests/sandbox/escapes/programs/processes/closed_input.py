# tries: to break the host's writing: closes its input at once while the host still writes a large one
# escape: the executor raises instead of answering
# input: 8000000
# control: none: outside nobody writes
import os

os.close(0)
print("TRIED to close the input", flush=True)
