"""Everything that can go wrong between `sync`, Leshan and the devices behind it."""


class StoppedError(Exception):
    """The process is to end while the database is away."""


class LeshanError(Exception):
    """A request to Leshan did not do what it should. `said`: Leshan's own words, "" where it has none."""

    said: str = ""


class UnavailableError(LeshanError):
    """Leshan itself gave no answer; the same request may work later."""


class UnreachableError(UnavailableError):
    """No connection to Leshan, or it broke."""


class AnswerTimeoutError(UnavailableError):
    """Leshan accepted the connection but did not answer in time."""


class StreamSilentError(UnavailableError):
    """The event stream showed no sign of life for too long."""


class StreamEndedError(UnavailableError):
    """Leshan ended the event stream."""


class UnauthorisedError(LeshanError):
    """Leshan refuses our bearer token (HTTP 401 or 403)."""


class BadRequestError(LeshanError):
    """Leshan refuses the request as it stands (HTTP 400 and its kin)."""


class NotRegisteredError(BadRequestError):
    """Leshan has no registration of that endpoint."""


class NotFoundError(LeshanError):
    """Leshan does not know the address that was asked for (HTTP 404 or 405): it is another kind of server."""


class DeviceTimeoutError(LeshanError):
    """The device did not answer in time (HTTP 504)."""


class DeviceSleepingError(LeshanError):
    """The device sleeps: the request was not sent."""


class DeviceError(LeshanError):
    """The device answered with an error of its own: HTTP 200 with `success` false."""

    def __init__(self, code: str, message: str) -> None:
        """`code` as Leshan writes it, such as `NOT_FOUND(404)`; `message` may be empty."""
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message


class RequestFailedError(LeshanError):
    """Leshan could not carry the request out (HTTP 5xx)."""


class UnexpectedAnswerError(LeshanError):
    """Leshan's answer is not what its contract says."""


class AlreadyRunningError(Exception):
    """Another `sync` works on the same database."""
