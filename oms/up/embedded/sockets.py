"""Folders for unix sockets: private, and with a path short enough for the operating system."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from oms.up.processes import OsUser, StartError

LONGEST_SOCKET_PATH = 107  # sun_path of sockaddr_un less its closing zero


@contextmanager
def socket_folder(folder: Path, socket_name: str, *, user: OsUser | None = None) -> Iterator[Path]:
    """`folder`, or a short path of its own when a socket in `folder` could not be bound.

    Created for `user` (default: ourselves) and closed to everybody else.
    Raises StartError when the short path belongs to somebody else.
    """
    short = len(os.fsencode(folder / socket_name)) > LONGEST_SOCKET_PATH
    if short:
        folder = Path(f"/tmp/oms-{sha256(os.fsencode(folder)).hexdigest()[:16]}")  # noqa: S108  checked below
    folder.mkdir(mode=0o700, exist_ok=True)
    uid = user.uid if user else os.geteuid()
    if folder.is_symlink() or folder.stat().st_uid not in (uid, os.geteuid()):
        raise StartError(f"{folder} belongs to somebody else: remove it, or choose a home with a shorter path")
    if user:
        os.chown(folder, user.uid, user.gid)
    yield folder
    if short:
        shutil.rmtree(folder, ignore_errors=True)
