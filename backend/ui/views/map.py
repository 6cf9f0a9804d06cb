"""Where devices are, drawn without any other server."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_safe

from backend.accounts.permissions import Permission, require
from backend.devices.models import Device
from backend.ui.geography.places import places_json, track_json
from backend.ui.legend import DEVICE_STATES
from backend.ui.views.common import device_or_404

# names in one request for those that have changed
MANY_NAMES = 200


@require(Permission.VIEW)
@require_safe
def map_page(request: HttpRequest) -> HttpResponse:
    """The map; `?device=` chooses one, `&track=1` shows where it was, `&view=LATITUDE,LONGITUDE,ZOOM`."""
    config = {
        "places_url": reverse("part-places"),
        "track_url": reverse("part-track", kwargs={"endpoint": "ENDPOINT"}),
        "device_url": reverse("device", kwargs={"endpoint": "ENDPOINT"}),
        "icons": static("ui/icons.svg"),
        "statuses": {key: info.label for key, info in DEVICE_STATES.items()},
    }
    return render(request, "ui/map.html", {"config": config, "any": Device.objects.exists()})


@require(Permission.VIEW)
@require_safe
def places_part(request: HttpRequest) -> JsonResponse:
    """All positions as JSON, or those of `device=` (several): what has changed since."""
    names = request.GET.getlist("device")[:MANY_NAMES]
    return JsonResponse(places_json(endpoints=names or None))


@require(Permission.VIEW)
@require_safe
def track_part(request: HttpRequest, endpoint: str) -> JsonResponse:
    """The last positions of a device; `instance=` of object 6."""
    text = request.GET.get("instance", "0")
    instance = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    return JsonResponse({"track": track_json(device=device_or_404(endpoint), instance=instance)})
