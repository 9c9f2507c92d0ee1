"""All checks: foreign stacks against our Core and our agent.

    INTEROP_BINARIES  folder of core-server and core-agent
    INTEROP_PACKAGES  folder with the packages from npm
    INTEROP_WORK      folder for what is written

Runs in an environment with the packages from PyPI.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(1, str(HERE.parent))

import life  # noqa: E402  (they need the path)
from checks import Tally, equal  # noqa: E402
from programs import PEER, foreign_core, own_core  # noqa: E402

PARTS = ("runner", "cases", "agent", "life")
VECTORS = HERE.parents[2] / "crates/core-node-proto/tests/vectors/core-node.json"


def main():
    parser = argparse.ArgumentParser(description="Foreign stacks against our Core and our agent.")
    parser.add_argument("--seed", type=int, default=1, help="for the counters of the part life (1)")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all if none is named")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        sys.exit(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    for name in ("INTEROP_BINARIES", "INTEROP_PACKAGES"):
        if not os.environ.get(name):
            sys.exit(f'{name} is not set; "cargo xtask interop core" sets it')
    binaries, packages = Path(os.environ["INTEROP_BINARIES"]), Path(os.environ["INTEROP_PACKAGES"])
    work = Path(os.environ.get("INTEROP_WORK") or tempfile.mkdtemp(prefix="core-interop-"))
    shutil.copytree(PEER, packages / "peer", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    tally = Tally()
    for part in PARTS:
        if part in arguments.parts or not arguments.parts:
            with tally.check(f"{part}: the part comes to its end"):
                run(part, tally, binaries, packages, work, arguments.seed)
    sys.exit(0 if tally.close() else 1)


def run(part, tally, binaries, packages, work, seed):
    is_ours = part in ("cases", "agent")
    core = own_core(binaries, work) if is_ours else foreign_core(packages, work)
    try:
        if part == "life":
            life.check(tally, core, binaries, work, seed)
        elif part == "agent":
            walk(tally, core)
        else:
            cases(tally, core, "core-server" if is_ours else "the foreign Core")
    finally:
        status = core.program.stop()
    equal(status, 0, f"exit status of {core.program.name}")


def cases(tally, core, whose):
    count = run_script(["run_cases.py", *core.ports(), VECTORS])
    with tally.check(f"all cases of {VECTORS.name} against {whose}: {count[-1] if count else 'none'}"):
        failed = [line for line in count if line.startswith("FAIL ")]
        for line in failed:
            print(f"  {line}")
        passed, _, rest = count[-1].partition(" of ")
        that_many = rest.removesuffix(" passed")
        equal((failed, passed), ([], that_many), "failures")
        equal(int(passed) > 100, True, "more than 100 cases")


def walk(tally, core):
    ways = {
        "gRPC": ["--key", "key-node-1"],
        "gRPC, the key in the message": ["--key", "key-node-1", "--placement", "field"],
        "HTTP": ["--key", "key-node-1", "--transport", "http"],
        "gRPC after it registered": ["--register", "CODE-ONE"],
        "HTTP after it registered": ["--register", "CODE-TWO", "--transport", "http"],
    }
    core.ask("POST", "/reset", {})
    for way, words in ways.items():
        with tally.check(f"the foreign agent lives by {way}"):
            lines = run_script(["agent.py", *core.ports(control=False), *words])
            equal(lines[-1:], ['{"done": true}'], "the end of its output")


def run_script(words):
    """Runs a script of the peer; returns the lines it printed."""
    script, *rest = words
    command = [sys.executable, "-B", PEER / script, *rest]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    if done.returncode not in (0, 1):
        raise AssertionError(f"{script}: exit status {done.returncode}: {done.stderr.decode()[-400:]}")
    return done.stdout.decode().splitlines() or done.stderr.decode().splitlines()[-1:]


if __name__ == "__main__":
    main()
