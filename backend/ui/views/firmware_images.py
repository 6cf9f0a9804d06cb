"""Firmware images and the keys that vouch for them."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from backend.accounts.permissions import Permission, require
from backend.firmware.errors import FirmwareError, NoRoomError, TooLargeError
from backend.firmware.models import OPEN, FirmwareImage, ImageKind, SigningKey, UpdateState
from backend.firmware.selectors.images import image_get, image_list, image_usable, signing_key_get, signing_key_list
from backend.firmware.services.images import image_delete, image_store, image_update
from backend.firmware.services.keys import signing_key_add, signing_key_delete
from backend.firmware.storage import limit_bytes
from backend.firmware.uploads import image_of, takes_image
from backend.ui.firmware.forms import ImageForm, SigningKeyForm
from backend.ui.views.common import person, sentence

# newest images of a long list
LIMIT = 200
SAID = ("version", "manufacturer", "model", "profile", "object_instance", "note")


@dataclass(frozen=True)
class Use:
    """How an image has fared."""

    open: int = 0
    succeeded: int = 0
    failed: int = 0


def _uses(images: list[FirmwareImage]) -> dict[int, Use]:
    """By the image's id; one query."""
    counted = FirmwareImage.objects.filter(pk__in=[one.pk for one in images]).annotate(
        open=Count("updates", filter=Q(updates__state__in=OPEN)),
        succeeded=Count("updates", filter=Q(updates__state=UpdateState.SUCCEEDED)),
        failed=Count("updates", filter=Q(updates__state=UpdateState.FAILED, updates__retried_at=None)),
    )
    rows = counted.order_by().values_list("pk", "open", "succeeded", "failed")
    return {pk: Use(open_, succeeded, failed) for pk, open_, succeeded, failed in rows}


# -- images


def _list(request: HttpRequest, *, form: ImageForm | None = None, problem: str = "", status: int = 200) -> HttpResponse:
    search = request.GET.get("search", "")
    images = list(image_list(search=search)[: LIMIT + 1])
    uses = _uses(images[:LIMIT])
    context = {
        "rows": [(image, uses.get(image.pk, Use())) for image in images[:LIMIT]],
        "more": len(images) > LIMIT,
        "search": search,
        "form": form or ImageForm(),
        "problem": problem,
        "limit": limit_bytes(),
        "signed_only": settings.FIRMWARE_SIGNED_ONLY,
        "keys": signing_key_list().exists(),
    }
    return render(request, "ui/firmware_images.html", context, status=status)


@require(Permission.VIEW)
@require_safe
def image_list_page(request: HttpRequest) -> HttpResponse:
    """Images, newest first (`?search=`), and the form for another one."""
    return _list(request)


@require(Permission.OPERATE)
@require_POST
@takes_image
def upload(request: HttpRequest) -> HttpResponse:
    """Takes an image in; its bytes are on the disk before this begins, and gone at its end unless they are kept."""
    form = ImageForm(request.POST)
    try:
        file = image_of(request)
        if not form.is_valid():
            first = next(iter(form.errors.items()))
            raise FirmwareError(f"{form.fields[first[0]].label}: {first[1][0]}")
        image, made = image_store(
            upload=file.upload,
            file_name=file.name or "",
            by=person(request),
            **{name: form.cleaned_data[name] for name in SAID},
        )
    except FirmwareError as error:
        status = 413 if isinstance(error, TooLargeError) else 507 if isinstance(error, NoRoomError) else 400
        return _list(request, form=form, problem=sentence(error), status=status)
    return HttpResponseRedirect(f"{reverse('image', args=[image.pk])}?{'new' if made else 'known'}=1")


def _image(pk: int) -> FirmwareImage:
    try:
        return image_get(id=pk)
    except FirmwareImage.DoesNotExist:
        raise Http404("There is no such image (any more).") from None


def _page(request: HttpRequest, image: FirmwareImage, *, form: ImageForm | None = None, problem: str = "") -> Any:
    context = {
        "image": image,
        "unusable": image_usable(image=image),
        "use": _uses([image]).get(image.pk, Use()),
        "form": form or ImageForm(initial={name: getattr(image, name) for name in SAID}),
        "problem": problem,
        "campaigns": list(image.campaigns.all()[:10]),
        "own_version": image.kind == ImageKind.MCUBOOT,
        "new": "new" in request.GET,
        "known": "known" in request.GET,
        "saved": "saved" in request.GET,
    }
    return render(request, "ui/firmware_image.html", context, status=400 if problem else 200)


@require(Permission.VIEW)
@require_safe
def image_page(request: HttpRequest, pk: int) -> HttpResponse:
    """What is known of an image."""
    page: HttpResponse = _page(request, _image(pk))
    return page


@require(Permission.OPERATE)
@require_POST
def image_save(request: HttpRequest, pk: int) -> HttpResponse:
    """Which devices it is for, its note, and the version where the file does not say it."""
    image = _image(pk)
    form = ImageForm(request.POST)
    page: HttpResponse
    if not form.is_valid():
        page = _page(request, image, form=form, problem="Nothing was saved: see what is wrong below.")
        return page
    said = {name: form.cleaned_data[name] for name in SAID}
    if image.kind == ImageKind.MCUBOOT:
        del said["version"]
    try:
        image_update(image=image, by=person(request), **said)
    except FirmwareError as error:
        page = _page(request, image, form=form, problem=sentence(error))
        return page
    return HttpResponseRedirect(f"{reverse('image', args=[pk])}?saved=1")


@require(Permission.OPERATE)
@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Deletes the file; the row stays where updates tell of it."""
    image = _image(pk)
    try:
        image_delete(image=image, by=person(request))
    except FirmwareError as error:
        page: HttpResponse = _page(request, image, problem=sentence(error))
        # for htmx, which does not show pages of errors
        page.status_code = 200
        return page
    except FirmwareImage.DoesNotExist:
        pass
    return HttpResponseRedirect(reverse("images"))


# -- keys


def _keys_page(request: HttpRequest, *, form: SigningKeyForm | None = None, status: int = 200) -> HttpResponse:
    keys = list(signing_key_list().annotate(number=Count("images", filter=Q(images__deleted_at=None))))
    context = {"keys": keys, "form": form or SigningKeyForm(), "signed_only": settings.FIRMWARE_SIGNED_ONLY}
    return render(request, "ui/firmware_keys.html", context, status=status)


@require(Permission.ADMINISTER)
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("pem")
def key_list_page(request: HttpRequest) -> HttpResponse:
    """The registered public keys; POST adds one."""
    if request.method != "POST":
        return _keys_page(request)
    form = SigningKeyForm(request.POST, request.FILES)
    if not form.is_valid():
        return _keys_page(request, form=form, status=400)
    file = form.cleaned_data["file"]
    pem: bytes | str = file.read() if file else form.cleaned_data["pem"]
    try:
        signing_key_add(name=form.cleaned_data["name"], pem=pem, by=person(request))
    except FirmwareError as error:
        # what was pasted may be a private key: it is not sent back
        form = SigningKeyForm({"name": form.cleaned_data["name"]})
        form.is_valid()
        form.add_error("file", sentence(error))
        return _keys_page(request, form=form, status=400)
    return HttpResponseRedirect(reverse("signing-keys"))


@require(Permission.ADMINISTER)
@require_POST
def key_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Removes a key; images that it vouched for are judged anew."""
    try:
        signing_key_delete(key=signing_key_get(id=pk), by=person(request))
    except SigningKey.DoesNotExist:
        raise Http404("There is no such key (any more).") from None
    return HttpResponseRedirect(reverse("signing-keys"))
