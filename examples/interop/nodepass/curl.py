"""Every endpoint, asked by curl."""

import re
import time

from checks import equal, that

URL = "client://127.0.0.1:0/127.0.0.1:1?mode=1"
OTHER_URL = "client://127.0.0.1:0/127.0.0.1:1?mode=1&rate=100"
KEY_RECORD = "/instances/********"
KNOWN = ("/instances", KEY_RECORD, "/instances/", "/events", "/info", "/tcping", "/openapi.json", "/docs")
PROTECTED = ("/instances", KEY_RECORD, "/instances/nobody", "/events", "/info", "/tcping")
# Bodies that hold no instance. What is lenient beside them is in `leniencies`.
NO_INSTANCE = ("", "no json", "null", "[]", '"url"', "{}", '{"url":""}', '{"url":null}', '{"url":7}')


def check(tally, master):
    document = master.get_json("/openapi.json")
    for name, part in (("the key", keys), ("other origins", origins), ("paths and methods", paths),
                       ("one life", life), ("bodies", bodies), ("leniencies", leniencies), ("control", control),
                       ("the key record", key_record), ("info", info), ("tcping", tcping), ("the documentation", pages)):
        with tally.check(f"curl: {name}"):
            part(master, document)


def expect(answer, status, error=None):
    equal(answer.status, status, f"status, with {answer.body[:200]!r}")
    if error is not None:
        equal(answer.json(), {"error": error}, "body")
        equal(answer.headers.get("content-type"), "application/json", "type")
    return answer


def keys(master, _):
    for path in PROTECTED:
        expect(master.ask("GET", path, key=None), 401, "Unauthorized: API key required")
        expect(master.ask("GET", path, key="0" * 32), 401, "Unauthorized: Invalid API key")
        expect(master.ask("TRACE", path, key="0" * 32), 401)
    expect(master.ask("GET", "/info", key=master.key().upper() + "x"), 401)
    bearer = {"Authorization": f"Bearer {master.key()}"}
    expect(master.ask("GET", "/info", key=None, headers=bearer), 401, "Unauthorized: API key required")
    expect(master.ask("GET", "/info", key=None, headers={"x-api-key": master.key()}), 200)


def origins(master, _):
    for path in KNOWN:
        answer = expect(master.ask("OPTIONS", path, key=None), 200)
        equal(answer.body, b"", "body")
        equal(answer.headers.get("access-control-allow-origin"), "*", path)
        that("PATCH" in answer.headers.get("access-control-allow-methods", ""), f"{path} allows PATCH")
        that("X-API-Key" in answer.headers.get("access-control-allow-headers", ""), f"{path} allows the key")
    for answer in (master.ask("GET", "/info"), master.ask("GET", "/info", key=None)):
        equal(answer.headers.get("access-control-allow-origin"), "*", "on answers")


def paths(master, document):
    for path in ("/nothing", "/Instances", "/info/", "/docs/"):
        answer = expect(master.ask("GET", path, key=None), 404)
        that(answer.headers.get("content-type", "").startswith("text/plain"), f"{path} in plain text")
        expect(master.ask("OPTIONS", path, key=None), 404)
    expect(master.ask("GET", "/instances/"), 400, "Instance ID is required")
    expect(master.ask("GET", "/instances/nobody"), 404, "Instance not found")
    for method in ("PUT", "DELETE", "TRACE"):
        for path in ("/instances", "/info", "/events", "/tcping"):
            expect(master.ask(method, path), 405, "Method not allowed")
    expect(master.ask("TRACE", KEY_RECORD), 405, "Method not allowed")
    expect(master.ask("TRACE", "/instances/nobody"), 404, "Instance not found")
    expect(master.ask("HEAD", "/instances"), 405)


def life(master, _):
    made = create(master, {"url": URL})
    equal(made["type"], "client", "type")
    that(re.fullmatch("[0-9a-f]{8}", made["id"]), "an id of eight hexadecimal digits")
    path = f"/instances/{made['id']}"
    equal(master.get_json(path)["url"], made["url"], "url")
    that(made["id"] in [instance["id"] for instance in master.get_json("/instances")], "it is listed")
    expect(master.ask("PUT", path, {"url": URL}), 409, "Instance URL conflict")
    replaced = expect(master.ask("PUT", path, {"url": OTHER_URL}), 200).json()
    that("rate=100" in replaced["url"] and replaced["id"] == made["id"], "it has the other URL")
    gone = expect(master.ask("DELETE", path), 204)
    equal(gone.body, b"", "body")
    that("content-type" not in gone.headers, "no type without a body")
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        expect(master.ask(method, path), 404, "Instance not found")


def bodies(master, _):
    with_instance = create(master, {"url": URL})
    for method, path in (("POST", "/instances"), ("PUT", f"/instances/{with_instance['id']}")):
        for body in NO_INSTANCE:
            expect(master.ask(method, path, body), 400, "Invalid request body")
        expect(master.ask(method, path, {"url": "127.0.0.1:1/x"}), 400, "Invalid URL format")
        expect(master.ask(method, path, {"url": "http://127.0.0.1:1/x"}), 400, "Invalid URL scheme")
    delete(master, with_instance)


def leniencies(master, _):
    text = f'{{"URL":"{URL}","unknown":[1]}} and more'
    delete(master, expect(master.ask("POST", "/instances", text, headers={"Content-Type": "text/plain"}), 201).json())
    twice = f'{{"url":"http://x","url":"{URL}"}}'
    delete(master, expect(master.ask("POST", "/instances", twice), 201).json())
    odd = create(master, {"url": "SERVER://127.0.0.1:0/127.0.0.1:1?b=2&a=1"})
    that(odd["url"].startswith("server://") and odd["url"].index("a=1") < odd["url"].index("b=2"), odd["url"])
    path = f"/instances/{odd['id']}"
    for body in ("", "no json", "[]", "null", '{"alias":7}', '{"restart":"yes"}', '{"action":7}', '{"alias":"x","action":7}'):
        equal(expect(master.ask("PATCH", path, body), 200).json()["alias"], "", f"alias after {body!r}")
    delete(master, odd)


def control(master, document):
    made = create(master, {"url": URL})
    path = f"/instances/{made['id']}"
    for alias in ("x", "\u00e9" * 128, "<&>\u2028"):
        equal(expect(master.ask("PATCH", path, {"alias": alias}), 200).json()["alias"], alias, "alias")
    for policy in (True, False):
        equal(expect(master.ask("PATCH", path, {"restart": policy}), 200).json()["restart"], policy, "restart")
    for action in ("stop", "start", "restart", "reset"):
        equal(expect(master.ask("PATCH", path, {"action": action}), 200).json()["id"], made["id"], action)
    if "400" in document["paths"]["/instances/{id}"]["patch"]["responses"]:
        expect(master.ask("PATCH", path, {"alias": "y", "action": "jump"}), 400, "Invalid action: jump")
        equal(master.get_json(path)["alias"], "y", "the alias before the action")
        for long in ("z" * 257, "\u00e9" * 129):
            expect(master.ask("PATCH", path, {"alias": long}), 400, "Instance alias exceeds maximum length 256")
        meta = {"peer": {"sid": "s", "type": "t", "alias": "a"}, "tags": {"k": "v"}}
        equal(expect(master.ask("PATCH", path, {"meta": meta}), 200).json()["meta"], meta, "meta")
        long = {"meta": {"tags": {"k": "v" * 257}}}
        expect(master.ask("PATCH", path, long), 400, "Meta tag value exceeds maximum length 256")
    else:
        expect(master.ask("PATCH", path, {"action": "jump"}), 200)
    delete(master, made)


def key_record(master, _):
    record = master.get_json(KEY_RECORD)
    equal((record["id"], record["url"], record["type"]), ("*" * 8, master.key(), ""), "record")
    equal(master.get_json("/instances/%2A%2A%2A%2A%2A%2A%2A%2A")["id"], "*" * 8, "escaped")
    for method in ("PUT", "DELETE"):
        expect(master.ask(method, KEY_RECORD, {"url": URL}), 403, "Forbidden: API Key")
    equal(expect(master.ask("PATCH", KEY_RECORD, {"action": "stop"}), 200).json()["url"], record["url"], "key")


def info(master, document):
    figures = master.get_json("/info")
    members = document["components"]["schemas"]["Info"]["properties"]
    equal(sorted(set(members) - set(figures)), [], "missing members")
    that(figures["tls"] in ("0", "1", "2"), "tls is a text")
    if "post" in document["paths"]["/info"]:
        equal(expect(master.ask("POST", "/info", {"alias": "here"}), 200).json()["alias"], "here", "alias")
        equal(master.get_json(KEY_RECORD)["alias"], "here", "alias of the key record")
        expect(master.ask("POST", "/info", {"alias": "z" * 257}), 400, "Master alias exceeds maximum length 256")
        expect(master.ask("POST", "/info", "no json"), 400, "Invalid request body")
        equal(expect(master.ask("POST", "/info", {}), 200).json()["alias"], "", "alias after nothing")
    else:
        expect(master.ask("POST", "/info", {"alias": "here"}), 405, "Method not allowed")


def tcping(master, _):
    own = master.url.split("//")[1].split("/")[0]
    reached = master.get_json(f"/tcping?target={own}")
    equal((reached["target"], reached["connected"], reached["error"]), (own, True, None), "a listener")
    refused = master.get_json("/tcping?target=127.0.0.1%3A1")
    equal((refused["target"], refused["connected"], refused["latency"]), ("127.0.0.1:1", False, 0), "nobody")
    that(refused["error"], "an error says why")
    for query in ("", "?target=", "?Target=127.0.0.1:1"):
        expect(master.ask("GET", f"/tcping{query}"), 400, "Target address required")


def pages(master, _):
    for path, kind in (("/openapi.json", "application/json"), ("/docs", "text/html")):
        for method in ("GET", "POST"):
            answer = expect(master.ask(method, path, key=None), 200)
            that(answer.headers.get("content-type", "").startswith(kind), f"{path} is {kind}")
    page = master.ask("GET", "/docs", key=None).body.decode()
    equal(re.findall(r"https?://[^\s\"'<]*", page), [], "what the page asks elsewhere")
    that(master.key() not in page, "the page holds no key")


def rotate(tally, master):
    """Makes a new key; a master that was started here must have written it to its file."""
    with tally.check("curl: a new key takes the place of the old one"):
        old = master.key()
        new = expect(master.ask("PATCH", KEY_RECORD, {"action": "restart"}), 200).json()["url"]
        that(new != old and re.fullmatch("[0-9a-f]{32}", new), "another key of 32 hexadecimal digits")
        expect(master.ask("GET", "/info", key=old), 401, "Unauthorized: Invalid API key")
        expect(master.ask("GET", "/info", key=new), 200)
        if master.process is None:
            master.key_file.write_text(f"{new}\n")
        deadline = time.monotonic() + 5
        while master.key() != new and time.monotonic() < deadline:
            time.sleep(0.05)
        equal(master.key() == new, True, "the new key is in its file")


def create(master, body):
    return expect(master.ask("POST", "/instances", body), 201).json()


def delete(master, instance):
    expect(master.ask("DELETE", f"/instances/{instance['id']}"), 204)
