"""What is mounted under /api/v1/broker/<kind>/, in small letters: register these two addresses at the broker."""

from django.urls import path

from orders.api.broker_views import login_callback, postback

app_name = "brokers"
urlpatterns = [
    path("callback", login_callback, name="callback"),
    path("postback", postback, name="postback"),
]
