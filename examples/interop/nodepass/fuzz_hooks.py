"""Keeps schemathesis from changing the key and from the world outside."""

import re
from urllib.parse import unquote

import schemathesis

KEY_RECORD = "********"
UNKNOWN = "00000000"
ACCEPTED_NEGATIVE = "ST201"
SCHEME = re.compile(r"(server|client):", re.IGNORECASE)
INSTANCE_URL = re.compile(r"(server|client)://[^/?#]*(?:/[^?#]*)?(\?.*)?", re.DOTALL)


@schemathesis.hook
def before_call(context, case, kwargs):
    """A PATCH of the key record would make a new key; a well-formed instance would open ports and connections."""
    parameters = case.path_parameters or {}
    if case.method == "PATCH" and unquote(str(parameters.get("id"))) == KEY_RECORD:
        parameters["id"] = UNKNOWN
    if isinstance(case.body, dict) and isinstance(case.body.get("url"), str):
        case.body["url"] = harmless(case.body["url"])


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Lets pass what the API does on purpose."""
    return not (misses_allow_header(failure) or accepts_another_spelling(failure, case))


def misses_allow_header(failure):
    """A 405 of the original does not say what is allowed, and a master need not."""
    return getattr(failure, "failure_reason", None) == "missing_allow_header"


def accepts_another_spelling(failure, case):
    """The document's pattern is what is surely taken as an instance URL; most of what has its scheme is taken, too."""
    url = case.body.get("url") if isinstance(case.body, dict) else None
    return failure.code == ACCEPTED_NEGATIVE and isinstance(url, str) and SCHEME.match(url) is not None


def harmless(url):
    """The same URL with addresses of this machine: any free port, and one where nobody listens."""
    found = INSTANCE_URL.fullmatch(url)
    return url if found is None else f"{found[1]}://127.0.0.1:0/127.0.0.1:1{found[2] or ''}"
