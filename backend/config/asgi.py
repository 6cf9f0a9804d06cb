"""The ASGI application that uvicorn serves."""

import os

from django.core.asgi import get_asgi_application

from backend.api.asgi import live_on_one_thread

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")
application = live_on_one_thread(get_asgi_application())
