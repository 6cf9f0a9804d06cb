"""Where each room's pages begin."""

from django.urls import include, path

urlpatterns = [
    path("api/v1/", include("backend.api.urls")),
    path("debug/", include("backend.debug.urls")),
    path("accounts/", include("backend.accounts.urls")),
    path("", include("backend.ui.urls")),
]
