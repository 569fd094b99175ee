"""The folder that a running OMS lives in: taken by one at a time, never somebody else's, wiped without loss of the lock."""

import os
from pathlib import Path

import pytest

from oms.up.embedded import home as home_module
from oms.up.embedded.home import MARKER, MINIMUM_FREE_BYTES, Home
from oms.up.processes import StartError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_nothing_is_made_before_the_home_is_taken(home: Home) -> None:
    assert not home.root.exists()
    with home.locked():
        assert {entry.name for entry in home.root.iterdir()} == {"lock", MARKER, "log", "run"}
        assert (home.root / "lock").read_text() == str(os.getpid())
    assert not (home.root / "lock").exists(), "whoever looks sees that it is free"


def test_the_parts_of_a_home_are_for_its_owner_alone(home: Home) -> None:
    with home.locked():
        assert [(home.root / name).stat().st_mode & 0o777 for name in ("run", "log")] == [0o700, 0o700]
        assert home.root.stat().st_mode & 0o066 == 0, "nobody else lists it or writes there"


def test_a_home_is_held_by_one_and_then_by_the_next(home: Home) -> None:
    with (
        home.locked(),
        pytest.raises(StartError, match=f"is in use by process {os.getpid()}"),
        Home(home.root).locked(),
    ):
        pass
    with Home(home.root).locked():
        pass


@pytest.mark.parametrize("content", ["thesis.txt", ".hidden", "run"])
def test_somebody_elses_folder_is_left_as_it_is(home: Home, content: str) -> None:
    home.root.mkdir()
    (home.root / content).write_text("dear")
    with pytest.raises(StartError, match="neither empty nor the home of an OMS"), home.locked():
        pass
    assert [entry.name for entry in home.root.iterdir()] == [content]
    assert (home.root / content).read_text() == "dear"


def test_an_empty_folder_becomes_a_home_also_as_a_mounted_disk(home: Home) -> None:
    (home.root / "lost+found").mkdir(parents=True)
    with home.locked():
        (home.root / "data").write_text("x")
        home.wipe()
        assert not (home.root / "data").exists()
        assert (home.root / "lost+found").is_dir()


def test_a_wipe_takes_all_but_the_lock_also_what_had_to_live_elsewhere(home: Home, tmp_path: Path) -> None:
    elsewhere, neighbour = tmp_path / "elsewhere" / "mine", tmp_path / "elsewhere" / "of another home"
    for folder in (elsewhere, neighbour):
        folder.mkdir(parents=True)
        (folder / "rows").write_text("x")
    with home.locked():
        home.remember(version=15)
        (home.root / "postgres").symlink_to(elsewhere)
        (home.root / "exchange").mkdir()
        (home.root / "exchange" / "orders").write_text("x")
        home.wipe()
        assert {entry.name for entry in home.root.iterdir()} == {"lock", MARKER, "log", "run"}
        assert home.facts() == {}
        assert (home.root / "lock").read_text() == str(os.getpid()), "it stays taken"
    assert not elsewhere.exists()
    assert (neighbour / "rows").exists()


def test_what_a_later_start_must_know_is_kept_and_added_to(home: Home) -> None:
    with home.locked():
        assert home.facts() == {}
        home.remember(postgres="/data/15", version=15)
        home.remember(version=16)
    assert Home(home.root).facts() == {"postgres": "/data/15", "version": 16}


@pytest.mark.parametrize(
    ("said", "last"), [("one\ntwo\n\n", "two"), ("", "it said nothing"), ("\n", "it said nothing")]
)
def test_the_last_words_of_a_log(home: Home, said: str, last: str) -> None:
    with home.locked():
        home.log("web").write_text(said)
        assert home.last_log_line("web") == last


@pytest.mark.parametrize(("free", "is_enough"), [(MINIMUM_FREE_BYTES, True), (MINIMUM_FREE_BYTES - 1, False)])
def test_a_disk_that_is_nearly_full_is_said_before_anything_starts(
    home: Home, monkeypatch: pytest.MonkeyPatch, free: int, is_enough: bool
) -> None:
    monkeypatch.setattr(Home, "free_bytes", lambda _: free)
    if is_enough:
        home.require_room()
    else:
        with pytest.raises(StartError, match=r"is full: 299 MB free, at least 300 MB needed"):
            home.require_room()


def test_a_folder_that_cannot_be_made_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StartError, match=r"Cannot use .*: Not a directory"), Home(tmp_path / "file" / "home").locked():
        pass


def test_servers_of_a_dead_holder_are_waited_for_but_not_for_ever(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """They keep the lock's descriptor while they shut down; the number in it is of a process that is gone."""
    monkeypatch.setattr(home_module, "ORPHANS_SECONDS", 0.3)
    with home.locked():
        (home.root / "lock").write_text("4194305")  # above the highest number that Linux gives
        with pytest.raises(StartError, match="is in use by process 4194305"), Home(home.root).locked():
            pass
