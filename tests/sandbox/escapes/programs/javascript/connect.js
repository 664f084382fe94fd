// tries: to connect to a listener of the host on 127.0.0.1, and to fetch from it
// escape: the listener gets a connection
// control: outside
const net = require("net");
const { targets, note } = require("./attack.js");

note("connect");
const line = net.connect(targets.port4, "127.0.0.1");
line.on("connect", () => {
  console.log("ESCAPED connected");
  line.destroy();
});
line.on("error", (error) => note(`connect: ${error.message}`));
