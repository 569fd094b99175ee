"""The endpoints under /api/v1/ for logging in and out."""

from django.urls import path

from compliance.api import login_views

urlpatterns = [
    path("auth/token", login_views.TokenView.as_view(), name="auth-token"),
    path("auth/token/refresh", login_views.RefreshView.as_view(), name="auth-refresh"),
    path("auth/logout", login_views.LogoutView.as_view(), name="auth-logout"),
]
