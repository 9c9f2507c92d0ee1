"""Counting checks, and the closing line."""

from contextlib import contextmanager


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0

    def ok(self, name):
        self.passed += 1
        print(f"ok   {name}", flush=True)

    def fail(self, name, text):
        self.failed += 1
        print(f"FAIL {name}: {text}", flush=True)

    def skip(self, name, reason):
        self.skipped += 1
        print(f"skipped {name}: {reason}", flush=True)

    @contextmanager
    def check(self, name):
        """A check passes when nothing is raised in it."""
        try:
            yield
        except Exception as error:  # whatever it is, the other checks go on
            self.fail(name, f"{error}" or repr(error))
        else:
            self.ok(name)

    def take(self, line):
        """Counts a line that another program wrote in the same manner; says whether it was one."""
        if line.startswith("ok "):
            self.ok(line[3:].strip())
        elif line.startswith("FAIL "):
            name, _, text = line[5:].partition(": ")
            self.fail(name, text)
        else:
            return False
        return True

    def close(self):
        """Prints the closing line; says whether all went well."""
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return self.failed == 0 and self.passed > 0


def equal(got, expected, what="value"):
    if got != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {got!r}")


def that(holds, what):
    if not holds:
        raise AssertionError(f"not so: {what}")
