"""Every setting of the project, read once from the environment.

`manage.py up` and the test run fill in DATABASE_URL and REDIS_URL from the embedded servers;
a deployment sets them itself. Secrets have defaults in the demo only, and the demo is only on when it
is asked for. Combinations that cannot work are refused by `oms/checks.py`.
"""

import json
import os
import secrets
from collections import ChainMap
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import django_stubs_ext
import environ

from oms.lib import redis_urls
from oms.monitoring import logs

django_stubs_ext.monkeypatch()  # lets annotations say ModelAdmin[Order] and Field[str, str] at run time

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
OMS_HOME = Path(env.str("OMS_HOME", default=str(BASE_DIR / ".home")))
# What a running `up` tells other commands on the same home (addresses, demo or not; no secrets).
RUNNING = OMS_HOME / "run" / "environment.json"
if RUNNING.exists():
    env.ENVIRON = ChainMap(os.environ, json.loads(RUNNING.read_text()))

# --- secrets and the demo: known keys, known logins, the paper exchange; never together with real money

DEMO = env.bool("OMS_DEMO", default=False)
DEBUG = env.bool("OMS_DEBUG", default=False)
DEMO_SECRET_KEY = "demo-only-secret-key-that-checks-refuse-outside-the-demo"  # noqa: S105
# Lets commands that sign nothing be imported; whatever serves refuses it, and nobody knows it.
NO_SECRET_KEY = f"unset-{secrets.token_urlsafe(48)}"
SECRET_KEY = env.str("OMS_SECRET_KEY", default=DEMO_SECRET_KEY if DEMO else NO_SECRET_KEY)
DEMO_FERNET_KEY = "demo-only-fernet-key"
# Newest first: the first encrypts, all decrypt, so a key is rotated by putting a new one in front.
FERNET_KEYS = env.list("OMS_FERNET_KEYS", default=[DEMO_FERNET_KEY] if DEMO else [])
REQUIRE_2FA = env.bool("OMS_REQUIRE_2FA", default=not DEMO)

# --- web

ALLOWED_HOSTS = env.list("OMS_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", "testserver"])
CSRF_TRUSTED_ORIGINS = env.list("OMS_CSRF_TRUSTED_ORIGINS", default=[])
PAPER_EXCHANGE_URL = env.str("OMS_PAPER_EXCHANGE_URL", default="http://127.0.0.1:8100")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEMO
SESSION_COOKIE_NAME = "oms_session"
if env.bool("OMS_BEHIND_TLS_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

INSTALLED_APPS = [
    # admin site
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    # Django
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_structlog",
    "pgtrigger",
    # API
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    # ours
    "oms",
    "compliance",
    "ledger",
    "orders",
]
MIDDLEWARE = [
    "oms.monitoring.metrics.MeasureRequests",
    "django_structlog.middlewares.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "oms.ways.ApiTurnsOff",
    # what follows is passed by the pages of the staff site only
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "oms.staff.two_factor.SecondFactorMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "oms.urls"
WSGI_APPLICATION = "oms.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
STATIC_URL = "static/"
# Served out of the packages they come in: no collecting step, nothing to go stale after an upgrade.
WHITENOISE_USE_FINDERS = True

# --- database

DATABASES = {"default": env.db_url("DATABASE_URL", default="postgresql:///oms")}
DATABASES["default"] |= {
    "ENGINE": "django.db.backends.postgresql",
    "CONN_MAX_AGE": None,
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {
        **DATABASES["default"].get("OPTIONS", {}),
        # Every table here is read by an index. A plan is kept for as long as a connection lives: one made while a table
        # was small would read all of it at each order (ledger/migrations/0005).
        "options": "-c enable_seqscan=off"
        # A writer that stalls would stall the readers of the event log behind it (docs/architecture.md).
        " -c idle_in_transaction_session_timeout=30s -c lock_timeout=5s -c timezone=UTC"
        # A host that loses power must not keep its locks for the two hours that TCP would wait by itself.
        " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
        # Used by oms.lib.db only: Django's own cursors bind on the client and prepare nothing.
        "prepare_threshold": 1,
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: the database that REDIS_URL names is the queue's and ours, the next one the cache's

REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": redis_urls.with_database(REDIS_URL, redis_urls.database(REDIS_URL) + 1),
        "KEY_PREFIX": "oms",
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2, "health_check_interval": 30},
    }
}

# --- Celery: hints to hurry; the rows in the database are the work queue

CELERY_BROKER_URL = redis_urls.celery_broker(REDIS_URL)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # A task whose worker vanished comes back after this many seconds; the sweep is there long before.
    "visibility_timeout": 300,
    "unacked_restore_throttle": 1,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "health_check_interval": 30,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A hint that cannot be sent is not worth a request's time: the sweep finds the row.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 120
CELERY_TASK_SOFT_TIME_LIMIT = 90
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Losing the queue is no reason to cut off a call to the broker: the row says whose the order is.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_TIMEZONE = "UTC"
CELERY_TASK_DEFAULT_QUEUE = "default"
QUEUES = ("orders", "market", "compliance", "default")
# The first pattern that matches wins; submissions and amendments never wait behind polls.
CELERY_TASK_ROUTES: dict[str, dict[str, str]] = {
    "orders.tasks.every_second": {"queue": "market"},
    "orders.tasks.watch_*": {"queue": "market"},
    "orders.tasks.welcome_session": {"queue": "market"},
    "orders.tasks.refresh_*": {"queue": "market"},
    "orders.tasks.reconcile_*": {"queue": "market"},
    "orders.tasks.*": {"queue": "orders"},
    "ledger.tasks.*": {"queue": "default"},
    "compliance.tasks.*": {"queue": "compliance"},
}
CELERY_BEAT_SCHEDULE: dict[str, dict[str, object]] = {
    # A beat that finds a queue behind it does not add to it: what is not taken within a second is dropped.
    "every-second": {"task": "orders.tasks.every_second", "schedule": 1.0, "options": {"expires": 1}},
    "refresh-instruments": {"task": "orders.tasks.refresh_instruments", "schedule": 30.0, "options": {"expires": 30}},
    "ensure-partitions": {"task": "compliance.tasks.ensure_partitions", "schedule": 6 * 3600.0},
}

# --- trading

# A last price older than this does not reserve capital for a MARKET order.
PRICE_FRESH_SECONDS = env.int("OMS_PRICE_FRESH_SECONDS", default=15)
POLL_SECONDS = 1
# Rupees that one person may deposit at once.
DEPOSIT_LIMIT = Decimal(env.str("OMS_DEPOSIT_LIMIT", default="100000000"))

# --- time, language

LANGUAGE_CODE = "en-in"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

# --- API (compliance/api, oms/lib/api): who is let in, how much, and how it is described

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["compliance.api.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["oms.lib.api.media.ExactJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["oms.lib.api.media.ExactJSONRenderer", "oms.lib.api.media.ProblemRenderer"],
    "DEFAULT_SCHEMA_CLASS": "oms.lib.api.schema.ProblemSchema",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "oms.lib.api.problems.handle",
    "URL_FORMAT_OVERRIDE": None,
}
# Refresh tokens are not rotated: the refresh token is the login, its end is the end of the trading day,
# and logging out ends it with every access token that it gave.
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=env.int("OMS_ACCESS_TOKEN_MINUTES", default=30)),
    "REFRESH_TOKEN_LIFETIME": timedelta(hours=12),
    "CHECK_REVOKE_TOKEN": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Order management system",
    "VERSION": "1.0.0",
    "DESCRIPTION": "Orders, capital and their proof for Indian markets. Money and quantities are JSON numbers with"
    " exact decimal text (strings are accepted on input); an optional member that is absent is not set; errors are"
    " RFC 9457 problem documents that list every wrong field.",
    "OAS_VERSION": "3.1.0",
    "SERVE_PUBLIC": True,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    # Enumerations stand where they are used: the same word ("type", "status") means different sets here.
    "POSTPROCESSING_HOOKS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
# Requests and seconds per user (or per address before login); a quota of 0 switches a policy off.
API_RATE_LIMITS = {
    "default": (env.int("OMS_API_RATE_PER_MINUTE", default=6000), 60),
    "login": (env.int("OMS_LOGIN_RATE_PER_MINUTE", default=30), 60),
}
TRUSTED_PROXIES = env.int("OMS_TRUSTED_PROXIES", default=0)
METRICS_TOKEN = env.str("OMS_METRICS_TOKEN", default="")
DATA_UPLOAD_MAX_MEMORY_SIZE = 512 * 1024
INSTALLED_APPS = ["axes", "rest_framework_simplejwt.token_blacklist", *INSTALLED_APPS]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
# By name and address together: a stranger cannot lock somebody else out, nor guess on and on.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "oms.lib.api.client.client_ip"
AXES_LOCKOUT_CALLABLE = "compliance.api.lockout.locked_out"
AXES_VERBOSE = False
# It would begin a browser session for every login to the API; a login is on record as its refresh token.
AXES_DISABLE_ACCESS_LOG = True
# --- end of the API block

# --- logs

LOGGING = logs.configure(
    log_format=env.str("OMS_LOG_FORMAT", default="json"), level=env.str("OMS_LOG_LEVEL", default="INFO").upper()
)
DJANGO_STRUCTLOG_CELERY_ENABLED = True
# Orders and events already record who did what from where; a line per good request costs more than it tells.
DJANGO_STRUCTLOG_STATUS_DEFAULT_LOG_LEVEL = 10
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = 20
DJANGO_STRUCTLOG_CELERY_DEFAULT_LOG_LEVEL = 10
# A periodic task that was not taken within its second is dropped on purpose.
DJANGO_STRUCTLOG_CELERY_TASK_NOTICE_LOG_LEVEL = 10
DJANGO_STRUCTLOG_CELERY_TASK_FAILURE_LOG_LEVEL = 40
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False

# --- admin site: look in oms/staff/admin_site.py; logging in and the second factor in oms/staff/two_factor.py

UNFOLD = {
    "SITE_TITLE": "OMS",
    "SITE_HEADER": "OMS",
    "SITE_SUBHEADER": "Order management",
    "SITE_SYMBOL": "candlestick_chart",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "8px",
    "ENVIRONMENT": "oms.staff.admin_site.environment",
    "DASHBOARD_CALLBACK": "oms.staff.dashboard.fill",
    "STYLES": ["oms.staff.admin_site.style"],
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "oms.staff.admin_site.icon"}],
    "COLORS": {
        "primary": {
            "50": "#effdf8", "100": "#d5f9ec", "200": "#aef1db", "300": "#78e4c5", "400": "#3fcdaa",
            "500": "#18b091", "600": "#0c8d76", "700": "#0b7161", "800": "#0d594e", "900": "#0f4a42", "950": "#032b27",
        },
    },
    "COMMAND": {"search_models": ["orders.order", "compliance.account", "ledger.capitalaccount"], "show_history": True},
    "SIDEBAR": {"show_search": False, "command_search": True, "navigation": "oms.staff.admin_site.navigation"},
    "ACCOUNT": {"navigation": [{"title": "Two-factor authentication", "link": "/auth/mfa/"}]},
}  # fmt: skip
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "admin:index"
ACCOUNT_ADAPTER = "oms.staff.two_factor.StaffAccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = False
MFA_ADAPTER = "oms.staff.two_factor.EncryptedSecrets"
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_ISSUER = "OMS"
SESSION_COOKIE_AGE = 12 * 3600
