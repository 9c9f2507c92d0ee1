"""Programs that are started, and what they print: JSON objects, one a line."""

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

PEER = Path(__file__).parent / "peer"


class Program:
    """A program that was started here. It is ended by its id."""

    def __init__(self, command, log, environment=None, feed=False):
        self.name = Path(str(command[0])).name
        self.log = Path(log)
        self.events = []
        self.changed = threading.Condition()
        source = subprocess.PIPE if feed else subprocess.DEVNULL
        with self.log.open("ab") as errors:
            self.process = subprocess.Popen([str(word) for word in command], stdin=source, stdout=subprocess.PIPE,
                                            stderr=errors, env={**os.environ, **(environment or {})})
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": "unreadable", "line": line.decode(errors="replace")}
            with self.changed:
                self.events.append(event)
                self.changed.notify_all()

    def wait(self, what, holds, limit=20, since=0):
        """Returns the first event that `holds` is true of, from the place `since` on."""
        deadline = time.monotonic() + limit
        with self.changed:
            while True:
                found = next((event for event in self.events[since:] if holds(event)), None)
                if found is not None:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or self.process.poll() is not None:
                    raise AssertionError(f"{self.name}: no {what}; exit status {self.process.poll()}; {self.last_words()}")
                self.changed.wait(min(left, 0.2))

    def event(self, name, limit=20, since=0):
        return self.wait(f"event {name}", lambda event: event.get("event") == name, limit, since)

    def feed(self, document):
        self.process.stdin.write(json.dumps(document).encode() + b"\n")
        self.process.stdin.flush()

    def stop(self, limit=20):
        """Asks it to end and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} does not end; {self.last_words()}") from None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        return self.process.wait()

    def last_words(self):
        text = self.log.read_text(errors="replace").strip()
        return f"it said: {text[-400:]}" if text else "it said nothing"


class Core:
    """A Core with a port for tests."""

    def __init__(self, program, http_address, grpc_address, control_address):
        self.program = program
        self.http, self.grpc, self.control = http_address, grpc_address, control_address

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.control, timeout=10)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, body=payload, headers={"content-type": "application/json"})
            reply = connection.getresponse()
            raw = reply.read()
        finally:
            connection.close()
        if reply.status >= 300:
            raise AssertionError(f"{path}: {reply.status} {raw[:200]!r}")
        return json.loads(raw)

    def state(self):
        return self.ask("GET", "/state")

    def ports(self, control=True):
        words = ["--http", self.http, "--grpc", self.grpc]
        return words + (["--control", self.control] if control else [])


def foreign_core(installed, work):
    """Starts the Core on grpc-js. Node.js looks for packages beside a program, hence the copy of it beside those."""
    ports = {"GRPC_PORT": "0", "HTTP_PORT": "0", "CONTROL_PORT": "0"}
    program = Program(["node", Path(installed) / "peer" / "core.mjs"], work / "foreign-core.log", ports)
    ready = program.wait("ports", lambda event: event.get("ready") is True)
    return Core(program, *(f"127.0.0.1:{ready[name]}" for name in ("http", "grpc", "control")))


def own_core(binaries, work):
    """Starts our program."""
    anywhere = "127.0.0.1:0"
    command = [binaries / "core-server", "--http", anywhere, "--grpc", anywhere, "--test-control", anywhere, "--json"]
    program = Program(command, work / "core-server.log")
    listening = program.event("listening")
    return Core(program, listening["addr"], listening["grpc"], listening["control"])
