# tries: to have the host block for ever: the expected outputs are a pipe without a writer, a socket and a terminal
# escape: the run does not end, or one of them comes back as an output
# through: compile pipe socket device
# control: none: outside nobody fetches outputs
import os
import socket

from attack import note

os.mkfifo("pipe")
socket.socket(socket.AF_UNIX).bind("socket")
os.symlink("/dev/zero", "device")
note("pipe laid")
