"""What the API takes and answers of firmware images and signing keys."""

from datetime import datetime
from typing import Annotated

from ninja import Field, Schema

from backend.api.control_schemas import Body
from backend.api.parameters import Text
from backend.firmware.models import ImageKind, Signature

Pattern = Annotated[Text, Field(max_length=255, description="`*` and `?` as in file names; empty is for all")]
ProfileName = Annotated[Text, Field(max_length=64, description="a profile's name")]
Instance = Annotated[int, Field(ge=0, le=65534, description="of object 5; null is the first")]


class ImageWords(Body):
    """What people say of an image: parameters, or fields of the form beside `file`."""

    # "" is what a form sends for a field that was left empty
    version: Annotated[Text, Field(max_length=64, description="where the image does not tell")] = ""
    manufacturer: Pattern = ""
    model: Pattern = ""
    profile: ProfileName = ""
    object_instance: Instance | None = None
    note: Annotated[Text, Field(max_length=200)] = ""


class ImageChange(Body):
    """What shall be different; the rest stays."""

    version: Annotated[Text, Field(max_length=64)] | None = None
    manufacturer: Pattern | None = None
    model: Pattern | None = None
    profile: ProfileName | None = Field(default=None, description="null is for all")
    object_instance: Instance | None = None
    note: Annotated[Text, Field(max_length=200)] | None = None


class Image(Schema):
    """A firmware image."""

    id: int
    sha256: str
    size: int = Field(description="bytes")
    file_name: str
    kind: ImageKind
    version: str = Field(description="empty where nobody said")
    details: list[tuple[str, str]] = Field(description="what the image says of itself, for people")
    signature: Signature
    signed_by: str | None = Field(description="the name of the key")
    manufacturer: str
    model: str
    profile: str | None
    object_instance: int | None
    note: str
    uploaded_at: datetime
    uploaded_by: str | None
    deleted_at: datetime | None = Field(description="the file is gone, the updates that tell of it are not")


class Images(Schema):
    """Images, newest first."""

    items: list[Image]


class SigningKeyBody(Body):
    """A public key."""

    name: Annotated[Text, Field(min_length=1, max_length=64)]
    pem: Annotated[Text, Field(max_length=16_384, description="SubjectPublicKeyInfo, PEM")]


class SigningKey(Schema):
    """A public key that images may be signed with."""

    id: int
    name: str
    kind: str
    fingerprint: str = Field(description="SHA-256 of the SubjectPublicKeyInfo in DER")
    pem: str
    added_at: datetime
    added_by: str | None


class SigningKeys(Schema):
    """All of them, by name."""

    items: list[SigningKey]
