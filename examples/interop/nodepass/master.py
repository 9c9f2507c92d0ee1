"""A master: one that is started here and ends with the checks, or one that runs already. curl asks it."""

import json
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

JSON = {"Content-Type": "application/json"}


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


class Master:
    """A master that runs already."""

    process = None

    def __init__(self, url, key_file):
        self.url = url.rstrip("/")
        self.key_file = Path(key_file)

    def key(self):
        return self.key_file.read_text().strip()

    def ask(self, method, path, body=None, key=True, headers=None, limit=10):
        """Asks by curl. `key`: the right one, none (`None`), or another. Settings go to its input, where nobody sees them."""
        headers = {**(JSON if body is not None else {}), **(headers or {})}
        if key is not None:
            headers["X-API-Key"] = self.key() if key is True else key
        settings = [f'header = "{name}: {value}"' for name, value in headers.items()]
        if method == "HEAD":
            settings.append("head")
        else:
            settings.append(f'request = "{method}"')
        command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--path-as-is", "--globoff", "--include",
                   "--max-time", str(limit), "--config", "-"]
        if body is not None:
            text = body if isinstance(body, str) else json.dumps(body)
            escaped = text.replace("\\", "\\\\").replace('"', '\\"')
            settings.append(f'data-binary = "{escaped}"')
        done = subprocess.run([*command, self.url + path], input="\n".join(settings).encode(), capture_output=True)
        if done.returncode != 0:
            raise AssertionError(f"curl {method} {path}: {done.stderr.decode().strip()}")
        return parse(done.stdout)

    def get_json(self, path):
        answer = self.ask("GET", path)
        if answer.status != 200:
            raise AssertionError(f"GET {path}: {answer.status} {answer.body[:200]!r}")
        return answer.json()

    def stop(self):
        """A master that was not started here goes on."""


class Started(Master):
    """Our program, started with a state and a key of its own."""

    def __init__(self, program, work):
        arguments = ["--url", "master://127.0.0.1:0/api?log=info", "--state", work / "state", "--key-file", work / "key"]
        self.errors = (work / "master.log").open("wb")
        self.output = (work / "master.jsonl").open("w+b")
        self.process = subprocess.Popen([program, *arguments, "--json"], stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=self.errors)
        super().__init__(f"http://{self.address()}/api/v1", work / "key")

    def address(self):
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and self.process.poll() is None:
            first, complete, _ = Path(self.output.name).read_text().partition("\n")
            if complete:
                return json.loads(first)["addr"]
            time.sleep(0.05)
        self.stop()
        raise AssertionError("the master does not listen: " + Path(self.errors.name).read_text()[-500:])

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """Ends it in order if possible; returns its exit status."""
        if self.process.poll() is None:
            self.terminate()
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the master does not end on SIGTERM") from None


def parse(text):
    """Takes an answer as curl writes it: interim answers, the head, an empty line, the body."""
    head, _, body = text.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    if status.split(" ")[1] == "100":
        return parse(body)
    pairs = (line.split(":", 1) for line in lines)
    return Answer(int(status.split(" ")[1]), {name.lower(): value.strip() for name, value in pairs}, body)
