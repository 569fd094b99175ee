"""What a person reads at the terminal: who said it, in colours only where they can be seen."""

import io
import re

import pytest

from oms.up.terminal import WIDTH, Terminal

ESCAPE = re.compile(r"\x1b\[\d+m")


class Screen(io.StringIO):
    """A terminal that a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _no_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("out", "wishes", "coloured"),
    [
        (Screen, {}, True),
        (io.StringIO, {}, False),
        (Screen, {"NO_COLOR": "1"}, False),
        (io.StringIO, {"FORCE_COLOR": "1"}, True),
        (Screen, {"NO_COLOR": "", "FORCE_COLOR": ""}, True),
    ],
)
def test_colours_are_for_eyes(
    monkeypatch: pytest.MonkeyPatch, out: type[io.StringIO], wishes: dict[str, str], coloured: bool
) -> None:
    for name, value in wishes.items():
        monkeypatch.setenv(name, value)
    stream = out()
    Terminal(stream).line("web", "hello")
    assert bool(ESCAPE.search(stream.getvalue())) is coloured
    assert ESCAPE.sub("", stream.getvalue()) == f"{'web':<{WIDTH}}| hello\n"


def test_every_name_keeps_its_colour_and_neighbours_differ() -> None:
    stream = Screen()
    terminal = Terminal(stream)
    for name in ("web", "beat", "web", "stream"):
        terminal.line(name, "x")
    first, other, again, third = (ESCAPE.findall(line)[0] for line in stream.getvalue().splitlines())
    assert first == again
    assert len({first, other, third}) == 3


def test_our_own_words_are_told_from_the_childrens() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    terminal.say("stopping")
    terminal.block("one\ntwo")
    assert stream.getvalue() == f"{'up':<{WIDTH}}| stopping\n\none\ntwo\n\n"


def test_a_reader_that_goes_away_stops_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    terminal = Terminal(Gone())
    terminal.line("web", "nobody hears this")
    terminal.say("nor this")
    terminal._out.close()  # what it writes to instead stays open for as long as the process lives
