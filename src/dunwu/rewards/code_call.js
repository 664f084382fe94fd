// Calls one function of the solution above, which stands in the same file, and writes what it returned as JSON.
// As code_call.py: the process is the solution's, and nothing that is expected is in it.
;(async () => {
  const fs = require("fs");
  const request = JSON.parse(fs.readFileSync(0, "utf8"));
  const write = (reply) => { fs.writeSync(1, JSON.stringify(reply)); };
  try {
    const value = await FUNCTION(...request.args);
    write(value === undefined ? { raised: "the function returned undefined" } : { value });
  } catch (error) {
    write({ raised: String(error).slice(0, 1000) });
  }
})();
