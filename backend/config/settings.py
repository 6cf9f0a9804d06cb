"""Django settings. Everything that differs between installations comes from the environment (docs/settings.md)."""

import os
import secrets
from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from backend.config.env import database, env_bool, env_choice, env_int, env_list, env_path, env_str

BASE_DIR = Path(__file__).resolve().parents[2]

# -- where data lies: one folder for all of it, or data/ and certs/ in the checkout
_data = env_path("FLOWNEXUS_DATA")
DATA_DIR = _data or BASE_DIR / "data"
CERTS_DIR = DATA_DIR / "certs" if _data else BASE_DIR / "certs"
LOGS_DIR = DATA_DIR / "logs"


def _secret_key() -> str:
    """FLOWNEXUS_SECRET_KEY, or a random key kept in DATA_DIR/secret.key (0600) from the first start on."""
    given = env_str("FLOWNEXUS_SECRET_KEY")
    if given:
        return given
    file = DATA_DIR / "secret.key"
    try:
        DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            key = file.read_text().strip()
            if not key:
                raise ImproperlyConfigured(f"{file} is empty: delete it to have a new key made") from None
            return key
        key = secrets.token_urlsafe(48)
        with os.fdopen(descriptor, "w") as out:
            out.write(key + "\n")
    except OSError as error:
        raise ImproperlyConfigured(f"cannot keep a secret key in {file}: {error.strerror}") from error
    return key


SECRET_KEY = _secret_key()
DEBUG = env_bool("FLOWNEXUS_DEBUG")
ALLOWED_HOSTS = env_list("FLOWNEXUS_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env_list("FLOWNEXUS_ORIGINS", [])

# -- Leshan
LESHAN_URL = env_str("FLOWNEXUS_LESHAN_URL", "http://127.0.0.1:8080").rstrip("/")
LESHAN_TOKEN_FILE = env_path("FLOWNEXUS_LESHAN_TOKEN_FILE") or DATA_DIR / "leshan.token"
LESHAN_TOKEN = env_str("FLOWNEXUS_LESHAN_TOKEN")  # wins over the file

# -- commands: hours after which one that was not answered ends as expired; 30 days at most
COMMAND_EXPIRY_HOURS = env_int("FLOWNEXUS_COMMAND_EXPIRY_HOURS", default=24, least=1, most=720)
# seconds that a device may take for its answer, retransmissions included
REQUEST_SECONDS = env_int("FLOWNEXUS_REQUEST_SECONDS", default=30, least=1, most=240)

# -- firmware
IMAGES_DIR = DATA_DIR / "images"
# MiB that an image may have
FIRMWARE_LIMIT_MIB = env_int("FLOWNEXUS_FIRMWARE_LIMIT_MIB", default=64, least=1, most=1024)
# refuse images that are not signed by a registered key
FIRMWARE_SIGNED_ONLY = env_bool("FLOWNEXUS_FIRMWARE_SIGNED_ONLY")
# seconds without progress after which a transfer counts as stalled
FIRMWARE_STALL_SECONDS = env_int("FLOWNEXUS_FIRMWARE_STALL_SECONDS", default=180, least=1, most=86400)
# seconds that a device may take to install an image and come back, beside what its size adds
FIRMWARE_INSTALL_SECONDS = env_int("FLOWNEXUS_FIRMWARE_INSTALL_SECONDS", default=900, least=1, most=604800)
# seconds for which the new registration must last before the update counts as a success
FIRMWARE_HOLD_SECONDS = env_int("FLOWNEXUS_FIRMWARE_HOLD_SECONDS", default=60, least=0, most=86400)
# transfers of one update, at most
FIRMWARE_TRANSFERS = env_int("FLOWNEXUS_FIRMWARE_TRANSFERS", default=3, least=1, most=20)
# days after which an update ends that could not begin, because the device stayed away
FIRMWARE_GIVE_UP_DAYS = env_int("FLOWNEXUS_FIRMWARE_GIVE_UP_DAYS", default=30, least=1, most=365)

# -- alerts: messages by e-mail and webhook
# without a host nothing is sent by e-mail, and the pages say so
EMAIL_HOST = env_str("FLOWNEXUS_EMAIL_HOST")
EMAIL_CONFIGURED = bool(EMAIL_HOST)
_email_security = env_choice("FLOWNEXUS_EMAIL_SECURITY", ("starttls", "tls", "none"))
EMAIL_USE_TLS = _email_security == "starttls"
EMAIL_USE_SSL = _email_security == "tls"
EMAIL_PORT = env_int(
    "FLOWNEXUS_EMAIL_PORT", default={"starttls": 587, "tls": 465, "none": 25}[_email_security], least=1, most=65535
)
EMAIL_HOST_USER = env_str("FLOWNEXUS_EMAIL_USER")
EMAIL_HOST_PASSWORD = env_str("FLOWNEXUS_EMAIL_PASSWORD")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env_str("FLOWNEXUS_EMAIL_FROM", "FlowNexus <flownexus@localhost>")
# PEM file with the CAs that webhooks' certificates are checked against, where the well-known ones do not do
ALERTS_CA_FILE = str(env_path("FLOWNEXUS_ALERTS_CA") or "")
# days that alerts and their messages are kept after their end
ALERTS_DAYS = env_int("FLOWNEXUS_ALERTS_DAYS", default=365, least=1, most=36500)
# days that messages which nobody understood are kept raw
RAW_DAYS = env_int("FLOWNEXUS_RAW_DAYS", default=365, least=1, most=36500)

# downloads (exports, logs, images) that a web process sends at once
DOWNLOADS = env_int("FLOWNEXUS_DOWNLOADS", default=3, least=1, most=100)

INSTALLED_APPS = [
    "backend.accounts",
    "backend.devices",
    "backend.commands",
    "backend.firmware",
    "backend.telemetry",
    "backend.logs",
    "backend.alerts",
    "backend.pki",
    "backend.sync",
    "backend.api",
    "backend.debug",
    "backend.ui",
    "allauth",
    "allauth.account",
    "csp",
    "django_filters",
    "django_htmx",
    "django_tables2",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "django.forms",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "backend.accounts.middleware.MustChangePasswordMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "backend.config.urls"
ASGI_APPLICATION = "backend.config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

DATABASES = {"default": database(env_str("DATABASE_URL"), DATA_DIR / "flownexus.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- people
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_ADAPTER = "backend.accounts.adapter.AccountAdapter"  # no sign-up
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
# per address and per name; counted in the cache, which is this process's memory: one web process is what is run
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/5m/key",
    "change_password": "5/m/user",
}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "account_login"

# -- language and time: stored in UTC, shown in the browser's zone
LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

# -- static files: hashed and compressed once at set-up, served by the web process itself
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "build" / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "backend.ui.storage.StaticFilesStorage"},
}

# -- security headers; no inline script or style anywhere
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# behind TLS (a proxy): cookies only over HTTPS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env_bool("FLOWNEXUS_HTTPS")
if env_bool("FLOWNEXUS_HTTPS"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    # a line for each request of the demo UI is no news
    "loggers": {"httpx": {"level": "WARNING"}},
    "root": {"handlers": ["console"], "level": env_str("FLOWNEXUS_LOG_LEVEL", "INFO")},
}
