"""What views of all kinds begin with: who asks, and about which device."""

from django.http import Http404, HttpRequest

from backend.accounts.models import User
from backend.devices.models import Device
from backend.devices.selectors import device_get


def device_or_404(endpoint: str) -> Device:
    """The device, with profile and registration. Raises Http404 with a sentence."""
    try:
        return device_get(endpoint=endpoint)
    except Device.DoesNotExist:
        raise Http404(f"There is no device with the endpoint name “{endpoint}”.") from None


def person(request: HttpRequest) -> User:
    """Who asks; views that use this are for people who are signed in."""
    assert isinstance(request.user, User)
    return request.user


def sentence(error: Exception) -> str:
    """An error's text as a sentence."""
    text = str(error)
    return text[:1].upper() + text[1:]
