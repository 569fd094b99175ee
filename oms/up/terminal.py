"""What `manage.py up` prints: children's lines behind coloured names, its own sentences, the welcome."""

import os
from typing import TextIO

COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
BOLD = 1
WIDTH = 14


class Terminal:
    """Lines on `out`; colours only where a person sees them (NO_COLOR and FORCE_COLOR are honoured)."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colours: dict[str, int] = {}
        forced = bool(os.environ.get("FORCE_COLOR"))
        self._coloured = forced or (out.isatty() and not os.environ.get("NO_COLOR"))

    def line(self, name: str, text: str) -> None:
        """One line that the child `name` said."""
        colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        self._write(f"{self._prefix(name, colour)} {text}")

    def say(self, text: str) -> None:
        """A sentence of our own."""
        self._write(f"{self._prefix('up', BOLD)} {text}")

    def block(self, text: str) -> None:
        """Some lines that belong together, set off from the rest."""
        self._write(f"\n{text}\n")

    def _prefix(self, name: str, colour: int) -> str:
        text = f"{name:<{WIDTH}}|"
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured else text

    def _write(self, text: str) -> None:
        try:
            print(text, file=self._out, flush=True)
        except BrokenPipeError:
            # Whoever read us is gone (`make up | head`); what runs goes on until it is told to stop.
            self._out = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  as long as we live
