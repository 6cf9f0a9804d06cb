"""Long downloads: sent piece by piece as they are made, under ASGI too, in constant memory."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.http import content_disposition_header


def download(
    request: HttpRequest, chunks: Iterator[bytes], *, content_type: str, file_name: str
) -> StreamingHttpResponse:
    """An answer that the browser keeps as a file. `chunks` may read the database while it is sent."""
    answer = StreamingHttpResponse(
        _in_a_thread(chunks) if isinstance(request, ASGIRequest) else chunks, content_type=content_type
    )
    # compressing while sending would hold back the pieces
    answer.headers["Content-Encoding"] = "identity"
    answer.headers["Content-Disposition"] = content_disposition_header(True, file_name) or "attachment"
    return answer


async def _in_a_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Django takes a whole synchronous iterator into memory before it sends the first byte over ASGI.

    One thread for all pieces, so that they have one connection to the database; closed when the client leaves, too.
    """
    loop = asyncio.get_running_loop()
    executor = ThreadPoolExecutor(1, thread_name_prefix="download")

    def end() -> None:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
        connections.close_all()

    try:
        while chunk := await loop.run_in_executor(executor, next, chunks, b""):
            yield chunk
    finally:
        executor.submit(end)
        executor.shutdown(wait=False)
