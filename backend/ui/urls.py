"""The pages' addresses. Signing in and out is in backend.accounts.urls."""

from django.urls import URLPattern, URLResolver, path, register_converter

from backend.ui.converters import EndpointConverter
from backend.ui.views import batches, commands, control, devices, events, models, overview, people, profiles, settings

register_converter(EndpointConverter, "endpoint")

urlpatterns: list[URLPattern | URLResolver] = [
    path("", overview.overview, name="overview"),
    path("devices/", devices.device_list_page, name="devices"),
    path("devices/<endpoint:endpoint>/", devices.device_page, name="device"),
    path("commands/", commands.command_list_page, name="commands"),
    path("commands/new/", batches.command_new, name="command-new"),
    path("commands/batches/", batches.batch_list_page, name="batches"),
    path("commands/batches/<int:pk>/", batches.batch_page, name="batch"),
    path("commands/batches/<int:pk>/cancel/", batches.cancel, name="batch-cancel"),
    path("commands/<int:pk>/cancel/", commands.cancel, name="command-cancel"),
    path("commands/<int:pk>/repeat/", commands.repeat, name="command-repeat"),
    path("commands/ask/<endpoint:endpoint>/", control.ask, name="command-ask"),
    path("commands/act/<endpoint:endpoint>/", control.act, name="command-act"),
    path("commands/profile/<endpoint:endpoint>/", control.observation_clear, name="observation-clear"),
    path("events/", events.event_list_page, name="events"),
    path("events/raw/", events.raw_event_list_page, name="raw-events"),
    path("statuses/", overview.statuses, name="statuses"),
    path("settings/", settings.settings_index, name="settings"),
    path("settings/profiles/", profiles.profile_list_page, name="settings-profiles"),
    path("settings/profiles/new/", profiles.profile_new, name="profile-new"),
    path("settings/profiles/rules/", profiles.rules_save, name="profile-rules"),
    path("settings/profiles/<int:pk>/", profiles.profile_edit, name="profile-edit"),
    path("settings/profiles/<int:pk>/delete/", profiles.profile_remove, name="profile-delete"),
    path("settings/models/", models.model_list_page, name="settings-models"),
    path("settings/models/upload/", models.model_upload, name="model-upload"),
    path("settings/models/<int:object_id>/<str:version>/", models.model_page, name="model"),
    path("settings/models/<int:object_id>/<str:version>/delete/", models.model_delete, name="model-delete"),
    path("device-settings/profile/<endpoint:endpoint>/", settings.device_profile, name="device-profile"),
    path("device-settings/observation/<endpoint:endpoint>/", settings.device_observation, name="device-observation"),
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
    path("parts/rules/", profiles.rule_preview, name="part-rule"),
    path("parts/devices/settings/<endpoint:endpoint>/", settings.settings_part, name="part-settings"),
    path("parts/devices/connection/<endpoint:endpoint>/", devices.connection_part, name="part-connection"),
    path("parts/devices/panel/<endpoint:endpoint>/", control.panel_part, name="part-panel"),
    path("parts/devices/menu/<endpoint:endpoint>/", control.object_menu_part, name="part-object-menu"),
    path("parts/devices/panel-live/<endpoint:endpoint>/", control.panel_live_part, name="part-panel-live"),
    path("parts/devices/commands/<endpoint:endpoint>/", commands.device_commands_part, name="part-device-commands"),
    path("parts/commands/", commands.commands_part, name="part-commands"),
    path("parts/commands/input/", batches.input_part, name="part-bulk-input"),
    path("parts/commands/<int:pk>/", commands.line_part, name="part-command"),
    path("parts/batches/<int:pk>/", batches.batch_part, name="part-batch"),
]
