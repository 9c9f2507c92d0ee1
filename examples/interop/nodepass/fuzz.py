"""schemathesis, which makes requests out of the document and holds the answers against it."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from checks import equal

HERE = Path(__file__).resolve().parent
LIMIT = 180


def check(tally, master, work, seed):
    key = master.key()
    report = work / "schemathesis.xml"
    # "python -m" would import this folder's modules before its own ones.
    program = Path(sys.executable).parent / "schemathesis"
    command = [program, "--config-file", HERE / "schemathesis.toml", "run", f"{master.url}/openapi.json",
               "--seed", str(seed), "--report-junit-path", report]
    environment = {**os.environ, "NODEPASS_API_KEY": key, "SCHEMATHESIS_HOOKS": "fuzz_hooks", "PYTHONPATH": str(HERE),
                   "PYTHONDONTWRITEBYTECODE": "1", "NO_PROXY": "*"}
    done = subprocess.run(command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=LIMIT)
    with tally.check("fuzz: schemathesis comes to its end"):
        if done.returncode != 0:
            print(done.stdout)
        equal(done.returncode, 0, "exit status")
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        wrong = [problem.get("message") or problem.text or problem.tag
                 for problem in case if problem.tag in ("failure", "error")]
        name = f"fuzz: {case.get('name')}"
        if wrong:
            tally.fail(name, " ".join(" ".join(wrong).split())[:600])
        else:
            tally.ok(name)
    print(next((line for line in done.stdout.splitlines() if " generated" in line), "").strip())
    with tally.check("fuzz: the key is the same, and what was made can be deleted"):
        equal(master.key(), key, "key")
        for instance in master.get_json("/instances"):
            if instance["id"] != "********":
                equal(master.ask("DELETE", f"/instances/{instance['id']}").status, 204, "status")
