"""What is left: the API's description of itself, and every address that nothing else answers. Imported last."""

from django.http import Http404, HttpRequest, HttpResponse

from backend.api.base import api
from backend.api.parameters import strict


@api.get("/openapi.json", include_in_schema=False)
@strict()
def openapi(request: HttpRequest) -> HttpResponse:
    """This API's own description (OpenAPI 3)."""
    prefix = request.path.removesuffix("openapi.json")
    return api.create_response(request, api.get_openapi_schema(path_prefix=prefix), status=200)


NOTHING = "There is nothing at this address: openapi.json lists what there is."
ANY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


@api.api_operation(ANY, "/", include_in_schema=False)
def root(request: HttpRequest) -> None:
    """Nothing either."""
    raise Http404(NOTHING)


@api.api_operation(ANY, "/{text:rest}", include_in_schema=False)
def nothing(request: HttpRequest, rest: str) -> None:
    """Last of all: every other address."""
    raise Http404(NOTHING)
