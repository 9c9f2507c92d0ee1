"""The OpenAPI document, against public validators."""

from checks import equal, that
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from urllib.parse import urlsplit

METHODS = ("get", "post", "put", "patch", "delete")


def check(tally, master):
    document = master.get_json("/openapi.json")
    with tally.check("document: it is valid OpenAPI 3.1.1"):
        equal(document["openapi"], "3.1.1", "version")
        OpenAPIV31SpecValidator(document).validate()
    with tally.check("document: its server is where it was read"):
        equal(document["servers"][0]["url"], urlsplit(master.url).path, "server")
    operations = [
        (f"{method.upper()} {path}", item[method])
        for path, item in document["paths"].items() for method in METHODS if method in item
    ]
    with tally.check("document: every operation has an example of what it answers"):
        for name, operation in operations:
            good = [status for status in operation["responses"] if status.startswith("2")]
            that(good, f"{name} has a good answer")
            for status in good:
                content = resolve(document, operation["responses"][status]).get("content", {})
                that(status == "204" or any(media.get("examples") for media in content.values()), f"{name} {status}")
    for name, operation in operations:
        with tally.check(f"document: the examples of {name} are what their schemas say"):
            for media in contents(document, operation):
                for example in media.get("examples", {}).values():
                    validate(document, media["schema"], resolve(document, example)["value"])


def contents(document, operation):
    """All media of what an operation takes and answers."""
    places = [operation.get("requestBody", {}), *operation["responses"].values()]
    places = [resolve(document, place) for place in places]
    yield from (media for place in places for media in place.get("content", {}).values())
    yield from operation.get("parameters", [])


def validate(document, schema, value):
    OAS31Validator({**schema, "components": document["components"]}).validate(value)


def resolve(document, value):
    if "$ref" not in value:
        return value
    place = document
    for name in value["$ref"].removeprefix("#/").split("/"):
        place = place[name]
    return place
