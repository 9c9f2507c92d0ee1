"""All checks: foreign clients against our master.

    INTEROP_BINARIES  folder of nodepass-master, which is started unless --url names one that runs
    INTEROP_WORK      folder for what is written
"""

import argparse
import os
import sys
import tempfile
import traceback
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parent.parent))

import curl  # noqa: E402  (they need the path)
import document  # noqa: E402
import fuzz  # noqa: E402
import stream  # noqa: E402
from checks import Tally  # noqa: E402
from master import Master, Started  # noqa: E402

PARTS = ("document", "fuzz", "curl", "stream")


def main():
    arguments = read_arguments()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        sys.exit(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    parts = [part for part in PARTS if part in arguments.parts or not arguments.parts]
    work = Path(os.environ.get("INTEROP_WORK") or tempfile.mkdtemp(prefix="nodepass-interop-"))
    tally = Tally()
    master = None
    try:
        master = the_master(arguments, work)
        for part in parts:
            with tally.check(f"{part}: the part comes to its end"):
                run(part, tally, master, work, arguments.seed)
    except Exception:
        traceback.print_exc()
        tally.fail("master", "it does not run")
    finally:
        if master is not None and master.process is not None:
            with tally.check("the master ends in order"):
                status = master.stop()
                if status != 0:
                    raise AssertionError(f"exit status {status}")
    sys.exit(0 if tally.close() else 1)


def read_arguments():
    parser = argparse.ArgumentParser(description="Foreign clients against a NodePass master.")
    parser.add_argument("--url", help="a master that runs, such as http://127.0.0.1:PORT/api/v1")
    parser.add_argument("--key-file", help="its key; a new one is written there")
    parser.add_argument("--seed", type=int, default=1, help="for the requests of schemathesis (1)")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all if none is named")
    arguments = parser.parse_args()
    if arguments.url and not arguments.key_file:
        parser.error("--url takes --key-file")
    if not arguments.url and not os.environ.get("INTEROP_BINARIES"):
        parser.error('INTEROP_BINARIES is not set; "cargo xtask interop nodepass" sets it')
    return arguments


def the_master(arguments, work):
    if arguments.url:
        return Master(arguments.url, arguments.key_file)
    return Started(Path(os.environ["INTEROP_BINARIES"]) / "nodepass-master", work)


def run(part, tally, master, work, seed):
    if part == "document":
        document.check(tally, master)
    elif part == "fuzz":
        fuzz.check(tally, master, work, seed)
    elif part == "curl":
        curl.check(tally, master)
        curl.rotate(tally, master)
    else:
        stream.check(tally, master)


if __name__ == "__main__":
    main()
