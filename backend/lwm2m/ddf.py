"""Object definitions in DDF, the XML of the OMA registry: read with the line of the first mistake, nothing fetched.

The outcome is a spec as Leshan gives it (backend.lwm2m.objects), so that uploaded and bundled definitions are one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

# bytes; the longest one of the OMA registry has 30 kB
MAX_SIZE = 512 * 1024
# 65535 is reserved
MAX_ID = 65534
MAX_RESOURCES = 2000
LONG_NAME = 255
LONG_TEXT = 20_000
DEPTH = 16

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)
OPERATIONS = ("", "R", "W", "RW", "E")
TYPES = {
    "string": "string",
    "integer": "integer",
    "float": "float",
    "boolean": "boolean",
    "opaque": "opaque",
    "time": "time",
    "objlnk": "objlnk",
    "corelnk": "corelink",
    "unsignedinteger": "unsigned_integer",
}
MULTIPLE = {"Single": "single", "Multiple": "multiple"}
MANDATORY = {"Mandatory": True, "Optional": False}


class DdfError(ValueError):
    """The file is no definition; the message names the line, what is wrong there and what is expected."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One object's definition."""

    object_id: int
    version: str
    name: str
    # {"id","name","instancetype","mandatory","urn","version","lwm2mversion","description",…,"resourcedefs"}
    spec: dict[str, Any]


@dataclass(slots=True)
class _Reader:
    """What has been read so far. Elements are told by their depth: LWM2M/Object/Resources/Item/field."""

    parser: expat.XMLParserType
    open: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    object: dict[str, str] = field(default_factory=dict)
    objects: int = 0
    resource: dict[str, str] | None = None
    resource_id: int = 0
    resources: list[dict[str, Any]] = field(default_factory=list)
    lines: dict[int, int] = field(default_factory=dict)
    finished: bool = False

    def wrong(self, message: str) -> DdfError:
        return DdfError(f"Line {self.parser.CurrentLineNumber}: {message}.")

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self.text.clear()
        depth = len(self.open)
        if depth == 0 and name != "LWM2M":
            raise self.wrong(f"the outermost element is {name[:40]!r}, but must be LWM2M: this is no DDF file")
        if depth >= DEPTH:
            raise self.wrong("elements lie too deep in each other")
        if depth == 1 and name == "Object":
            self.objects += 1
            if self.objects > 1:
                raise self.wrong("a second Object: put each into a file of its own")
        if self.open == ["LWM2M", "Object", "Resources"]:
            if name != "Item":
                raise self.wrong(f"{name[:40]!r} among the resources: each is an Item")
            self.resource = {}
            self.resource_id = self.number(attributes.get("ID"), "the ID of an Item")
            if self.resource_id in self.lines:
                first = self.lines[self.resource_id]
                raise self.wrong(f"resource {self.resource_id} is defined a second time (first in line {first})")
            self.lines[self.resource_id] = self.parser.CurrentLineNumber
            if len(self.lines) > MAX_RESOURCES:
                raise self.wrong(f"more than {MAX_RESOURCES} resources")
        self.open.append(name)

    def end(self, name: str) -> None:
        self.open.pop()
        value = "".join(self.text).strip()
        self.text.clear()
        if self.resource is not None and len(self.open) == 4:
            if name in self.resource:
                raise self.wrong(f"{name[:40]} of resource {self.resource_id} is there twice")
            self.check_resource(name, value)
            self.resource[name] = value
        elif self.resource is not None and len(self.open) == 3:
            self.end_resource()
        elif len(self.open) == 2 and self.open[1] == "Object" and name != "Resources":
            if name in self.object:
                raise self.wrong(f"{name[:40]} of the object is there twice")
            self.check_object(name, value)
            self.object[name] = value
        elif len(self.open) == 1 and name == "Object":
            self.demand(self.object, "the object", "Name", "ObjectID", "MultipleInstances", "Mandatory")
            if not self.resources:
                raise self.wrong("the object has no resources")
            self.finished = True

    def end_resource(self) -> None:
        resource, self.resource = self.resource or {}, None
        what = f"resource {self.resource_id}"
        self.demand(resource, what, "Name", "Operations", "MultipleInstances", "Mandatory")
        operations, type_ = resource["Operations"], TYPES.get(_squeezed(resource.get("Type", "")), "none")
        if type_ == "none" and operations not in {"", "E"}:
            raise self.wrong(f"{what} can be read or written, but has no Type")
        self.resources.append(
            {
                "id": self.resource_id,
                "name": resource["Name"],
                "operations": operations or "NONE",
                "instancetype": MULTIPLE[resource["MultipleInstances"]],
                "mandatory": MANDATORY[resource["Mandatory"]],
                "type": type_,
                "range": resource.get("RangeEnumeration", ""),
                "units": resource.get("Units", ""),
                "description": resource.get("Description", ""),
            }
        )

    def check_object(self, name: str, value: str) -> None:
        self.bounded(name, value, "the object")
        if name == "ObjectID":
            self.number(value, "ObjectID")
        elif name in {"ObjectVersion", "LWM2MVersion"} and value:
            if not _VERSION.fullmatch(value) or len(value) > 8:
                raise self.wrong(f"{name} is {value[:40]!r}, but must be like 1.0")
        elif name == "MultipleInstances":
            self.one_of(value, MULTIPLE, name)
        elif name == "Mandatory":
            self.one_of(value, MANDATORY, name)

    def check_resource(self, name: str, value: str) -> None:
        what = f"{name[:40]} of resource {self.resource_id}"
        self.bounded(name, value, f"resource {self.resource_id}")
        if name == "Operations":
            self.one_of(value, OPERATIONS, what)
        elif name == "MultipleInstances":
            self.one_of(value, MULTIPLE, what)
        elif name == "Mandatory":
            self.one_of(value, MANDATORY, what)
        elif name == "Type" and value and _squeezed(value) not in TYPES:
            raise self.wrong(
                f"{what} is {value[:40]!r}, but must be one of String, Integer, Unsigned Integer, Float, Boolean, "
                "Opaque, Time, Objlnk, Corelnk"
            )

    def bounded(self, name: str, value: str, what: str) -> None:
        if name == "Name" and not value:
            raise self.wrong(f"the Name of {what} is empty")
        if len(value) > (LONG_NAME if name == "Name" else LONG_TEXT):
            raise self.wrong(f"{name[:40]} of {what} is too long")

    def demand(self, fields: Mapping[str, str], what: str, *names: str) -> None:
        for name in names:
            if name not in fields:
                raise self.wrong(f"{what} has no {name}")

    def one_of(self, value: str, allowed: Any, what: str) -> None:
        if value not in allowed:
            raise self.wrong(f"{what} is {value[:40]!r}, but must be {' or '.join(one for one in allowed if one)}")

    def number(self, value: str | None, what: str) -> int:
        said = (value or "").strip()
        if not re.fullmatch(r"\d{1,5}", said, re.ASCII) or int(said) > MAX_ID:
            raise self.wrong(f"{what} is {said[:40]!r}, but must be a number from 0 to {MAX_ID}")
        return int(said)

    def refuse_doctype(self, *_: Any) -> None:
        raise self.wrong("a DOCTYPE is not taken (it could fetch or expand things): remove it")


def _squeezed(text: str) -> str:
    return text.replace(" ", "").replace("_", "").lower()


def ddf_parse(xml: bytes) -> Definition:
    """Reads a definition; the version is 1.0 where the file names none. Raises DdfError with one sentence."""
    if len(xml) > MAX_SIZE:
        raise DdfError(f"The file has {len(xml):,} bytes: at most {MAX_SIZE:,} are taken.")
    if not xml.strip():
        raise DdfError("The file is empty.")
    parser = expat.ParserCreate()
    reader = _Reader(parser)
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text.append
    # the declaration is refused before an entity of it can be defined, let alone used
    parser.StartDoctypeDeclHandler = reader.refuse_doctype
    parser.EntityDeclHandler = reader.refuse_doctype
    parser.ExternalEntityRefHandler = None
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise DdfError(f"Line {error.lineno}: this is no XML: {expat.ErrorString(error.code)}.") from None
    except (LookupError, ValueError) as error:
        if isinstance(error, DdfError):
            raise
        raise DdfError(f"This is no XML that can be read: {error}.") from None
    if not reader.finished:
        raise DdfError("There is no Object in the file: this is no DDF file.")
    fields = reader.object
    object_id, version = int(fields["ObjectID"]), fields.get("ObjectVersion") or "1.0"
    spec = {
        "id": object_id,
        "name": fields["Name"],
        "instancetype": MULTIPLE[fields["MultipleInstances"]],
        "mandatory": MANDATORY[fields["Mandatory"]],
        "urn": fields.get("ObjectURN", ""),
        "version": version,
        "lwm2mversion": fields.get("LWM2MVersion") or "1.0",
        "description": fields.get("Description1", ""),
        "description2": fields.get("Description2", ""),
        "resourcedefs": sorted(reader.resources, key=lambda one: int(one["id"])),
    }
    return Definition(object_id, version, fields["Name"], spec)
