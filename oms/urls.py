"""Every door of the web process: the API under /api/v1, the admin at the root of /admin."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
