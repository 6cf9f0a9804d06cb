"""The ASGI application that uvicorn serves."""

import os

from django.core.asgi import get_asgi_application

from backend.api.asgi import LIVE_PATH, bodies_bounded, live_on_one_thread
from backend.config.collector import tune_collector
from backend.debug.paths import TRACE_PATH
from backend.firmware.uploads import body_limit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")
UPLOAD_PATHS = ("/firmware/images/upload/", "/api/v1/firmware/images")
# bytes; the largest file beside firmware images is an object's definition
USUAL_BODY = 8 * 1024 * 1024

application = bodies_bounded(
    live_on_one_thread(get_asgi_application(), paths=frozenset({LIVE_PATH, TRACE_PATH})),
    usual=USUAL_BODY,
    larger=dict.fromkeys(
        UPLOAD_PATHS, (body_limit(), "upload a smaller image, or raise FLOWNEXUS_FIRMWARE_LIMIT_MIB.")
    ),
)

tune_collector(threshold=50_000)
