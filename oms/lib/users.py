"""Who is asking, as Django knows them: a person who has logged in, or nobody in particular."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

User = AbstractBaseUser | AnonymousUser
