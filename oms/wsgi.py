"""The WSGI application, which granian's workers serve: API and admin site."""

import os
import signal

from django.core.wsgi import get_wsgi_application

from oms.checks import refuse_impossible
from oms.up.processes import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oms.settings")
# A worker whose master was killed would go on answering on the port beside its successor.
die_with_parent(signal.SIGKILL)

application = get_wsgi_application()
refuse_impossible()
