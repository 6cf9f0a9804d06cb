"""Files from forms that go straight into the image folder: not into memory, and not onto the disk twice.

@require(Permission.OPERATE)
@takes_image
def upload(request): … image_of(request) …
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from backend.firmware.errors import FirmwareError
from backend.firmware.storage import CHUNK, MIB, Incoming, incoming, limit_bytes, too_large

View = Callable[..., HttpResponseBase]

# what a form may have beside the file
FORM_BYTES = MIB
FIELD = "file"


def body_limit() -> int:
    """Bytes that the body of a request with an image may have."""
    return limit_bytes() + FORM_BYTES


class UploadedImage(UploadedFile):  # type: ignore[type-arg]
    """A file that came in; `image_store` takes its `upload`. Closing it, as Django does, deletes what nobody kept."""

    def __init__(self, name: str, upload: Incoming, content_type: str | None) -> None:
        """`upload`: written, and neither kept nor closed."""
        super().__init__(file=None, name=name, content_type=content_type, size=upload.size)
        self.upload = upload

    def close(self) -> None:
        """Delete the file, unless it was kept."""
        self.upload.close()


class ImageUploadHandler(FileUploadHandler):
    """Writes the form's files to the image folder; the first thing that goes wrong is its `error`."""

    chunk_size = CHUNK

    def __init__(self, request: HttpRequest | None = None) -> None:
        """`request`: as Django gives it."""
        super().__init__(request)
        self.error: FirmwareError | None = None
        self._upload: Incoming | None = None

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:
        """Refuse what says that it is too large, before any of it is written."""
        content_length = kwargs.get("content_length", args[2] if len(args) > 2 else 0)
        if content_length > body_limit():
            self.error = too_large(limit_bytes())

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """The next file begins."""
        super().new_file(*args, **kwargs)
        self._discard()
        if self.error is not None:
            raise StopUpload(connection_reset=True)
        try:
            self._upload = incoming(limit_bytes())
        except FirmwareError as error:
            self._fail(error)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """A part of it."""
        assert self._upload is not None
        try:
            self._upload.write(raw_data)
        except FirmwareError as error:
            self._fail(error)

    def file_complete(self, file_size: int) -> UploadedImage | None:
        """All of it is there."""
        upload, self._upload = self._upload, None
        if upload is None:
            return None
        return UploadedImage(self.file_name or "", upload, self.content_type)

    def upload_interrupted(self) -> None:
        """The body ends in the middle of a file."""
        self._discard()
        self.error = self.error or FirmwareError("The upload ended before the file did: upload it again.")

    def _discard(self) -> None:
        if self._upload is not None:
            self._upload.close()
            self._upload = None

    def _fail(self, error: FirmwareError) -> None:
        self._discard()
        self.error = error
        # the server has the whole body already, or drops the connection: nothing is gained by reading on
        raise StopUpload(connection_reset=True) from error


def expect_image(request: HttpRequest) -> None:
    """Before anything looks at the form, the CSRF check included."""
    request.upload_handlers = [ImageUploadHandler(request)]


def takes_image(view: View) -> View:
    """Decorate a view whose form has an image; below the check of who asks, so that strangers write nothing."""
    protected = csrf_protect(view)

    @csrf_exempt
    @wraps(view)
    def run(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        expect_image(request)
        return protected(request, *args, **kwargs)

    return run


def image_of(request: HttpRequest) -> UploadedImage:
    """The form's field `file`, in a request that `expect_image` saw. Raises FirmwareError."""
    files = request.FILES.getlist(FIELD)
    for handler in request.upload_handlers:
        if isinstance(handler, ImageUploadHandler) and handler.error is not None:
            raise handler.error
    if not files:
        raise FirmwareError(f"The form has no file: choose the image (the field is called {FIELD!r}).")
    if len(files) > 1:
        raise FirmwareError("The form has several files: upload one image at a time.")
    image = files[0]
    assert isinstance(image, UploadedImage)
    return image
