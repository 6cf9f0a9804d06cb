"""The ASGI application that uvicorn serves."""

import os

from django.core.asgi import get_asgi_application

from backend.api.asgi import LIVE_PATH, live_on_one_thread
from backend.debug.paths import TRACE_PATH

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")
application = live_on_one_thread(get_asgi_application(), paths=frozenset({LIVE_PATH, TRACE_PATH}))
