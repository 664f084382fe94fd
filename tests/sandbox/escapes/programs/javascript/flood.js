// tries: to fill the host's memory with output, never waiting for it to drain
// escape: the host keeps more than the limit, or the run does not end
// outcome: output memory time
// control: none: flood_output.py has the control
// limits: output=65536
const { note } = require("./attack.js");

note("flood");
for (;;) process.stdout.write("x".repeat(65536));
