# tries: to confuse the host: the expected outputs are a folder, a file without rights, and a link in circles
# escape: the executor raises instead of answering
# through: compile folder closed circle
# control: none: outside nobody fetches outputs
import os

from attack import note

os.makedirs("folder/inner")
os.close(os.open("closed", os.O_CREAT | os.O_WRONLY, 0))
os.symlink("circle", "circle")
note("folder laid")
