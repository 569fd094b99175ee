"""What a person must look at."""

from django.conf import settings
from django.db import models

from compliance.models.accounts import Account


class Alert(models.Model):
    """Something that a person must look at; one row per `key` however often it is raised."""

    class Severity(models.TextChoices):
        INFO = "INFO"
        WARNING = "WARNING"
        CRITICAL = "CRITICAL"

    key = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=40)
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.WARNING)
    account = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="alerts")
    order_id = models.UUIDField(null=True, blank=True)
    summary = models.CharField(max_length=300)
    details = models.JSONField(default=dict)
    count = models.PositiveIntegerField(default=1)
    raised_at = models.DateTimeField()
    last_raised_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    closing_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [models.Index(fields=["-last_raised_at"], name="alert_latest")]

    def __str__(self) -> str:
        return self.summary
