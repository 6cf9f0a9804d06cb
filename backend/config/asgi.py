"""The ASGI application that uvicorn serves."""

import os

from django.core.asgi import get_asgi_application

from backend.api.asgi import LIVE_PATH, bodies_bounded, live_on_one_thread
from backend.debug.paths import TRACE_PATH
from backend.firmware.uploads import body_limit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")
# nothing that anybody may send is larger than a firmware image
application = bodies_bounded(
    live_on_one_thread(get_asgi_application(), paths=frozenset({LIVE_PATH, TRACE_PATH})), most=body_limit()
)
