"""The pages' addresses. Signing in and out is in backend.accounts.urls."""

from django.urls import URLPattern, URLResolver, path, register_converter

from backend.ui.converters import EndpointConverter
from backend.ui.views import devices, events, overview, people

register_converter(EndpointConverter, "endpoint")

urlpatterns: list[URLPattern | URLResolver] = [
    path("", overview.overview, name="overview"),
    path("devices/", devices.device_list_page, name="devices"),
    path("devices/<endpoint:endpoint>/", devices.device_page, name="device"),
    path("events/", events.event_list_page, name="events"),
    path("events/raw/", events.raw_event_list_page, name="raw-events"),
    path("statuses/", overview.statuses, name="statuses"),
    path("accounts/people/", people.people, name="people"),
    path("accounts/people/<int:pk>/role/", people.role, name="person-role"),
    path("accounts/people/<int:pk>/active/", people.active, name="person-active"),
    path("accounts/people/<int:pk>/password/", people.password, name="person-password"),
    # parts of pages, fetched again while a page is open
    path("parts/pipeline/", overview.pipeline_part, name="part-pipeline"),
    path("parts/overview/", overview.overview_part, name="part-overview"),
    path("parts/devices/", devices.rows_part, name="part-rows"),
    path("parts/devices/head/<endpoint:endpoint>/", devices.head_part, name="part-head"),
    path("parts/devices/values/<endpoint:endpoint>/", devices.values_part, name="part-values"),
    path("parts/devices/connection/<endpoint:endpoint>/", devices.connection_part, name="part-connection"),
]
