"""The event stream, read by a browser's way in Node.js. The master ends in it, if it was started here."""

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent / "stream.mjs"
LIMIT = 60
# The script writes this line when it waits for the master's end.
READY = "waiting for the end"


def check(tally, master):
    environment = {**os.environ, "NODEPASS_URL": master.url, "NODEPASS_API_KEY": master.key(),
                   "NODEPASS_ENDS": "1" if master.process else ""}
    counted = 0
    with subprocess.Popen(["node", SCRIPT], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True) as reader:
        try:
            for line in reader.stdout:
                line = line.rstrip("\n")
                if line == READY:
                    master.terminate()
                elif tally.take(line):
                    counted += 1
                elif line.startswith("skipped "):
                    tally.skip(*line.removeprefix("skipped ").split(": ", 1))
                else:
                    print(line)
            status = reader.wait(LIMIT)
        finally:
            reader.kill()
    if status != 0 or counted == 0:
        raise AssertionError(f"the reader ended with {status} after {counted} checks")
