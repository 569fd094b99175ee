"""Answers to requests that must not be carried out twice."""

from django.db import models


class IdempotencyKey(models.Model):
    """The first answer to a request that must not be carried out twice, stored with what it did."""

    principal = models.CharField(max_length=64, help_text="The user or key that sent the request.")
    key = models.CharField(max_length=128)
    body_hash = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.BinaryField(default=b"")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["principal", "key"], name="idempotency_once")]

    def __str__(self) -> str:
        return f"{self.principal} {self.key}"
