"""The product's WSGI application with a sampler beside it; served by `profile.py` only, never by the product.

Every few milliseconds the stacks of the threads that are in a request are counted. `GET /benchmark-profile` hands
the counts over and begins anew. Unlike a tracing profiler it does not slow down what consists of small functions.
"""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

from oms.wsgi import application as product

INTERVAL_SECONDS = 0.002
# A sample is taken when the interpreter hands over: at the default of 5 ms that would nearly always be where the
# request waits for something anyway.
sys.setswitchinterval(0.00001)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
_in_request: set[int] = set()
_stacks: Counter[tuple[CodeType, ...]] = Counter()
_requests = [0]


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The product's answer, the thread being watched while it is made."""
    if environ["PATH_INFO"] == "/benchmark-profile":
        start_response("200 OK", [("Content-Type", "application/json")])
        return [_hand_over()]
    thread = threading.get_ident()
    _in_request.add(thread)
    _requests[0] += 1
    try:
        answer: Iterable[bytes] = product(environ, start_response)
    finally:
        _in_request.discard(thread)
    return answer


def _hand_over() -> bytes:
    """`requests`, `seconds` per sample and `stacks`: from the leaf outwards, "file:function", with their counts."""
    counted = dict(_stacks)
    samples, elapsed = _sampler.samples, time.perf_counter() - _sampler.began
    document = {
        "requests": _requests[0],
        "seconds": elapsed / max(samples, 1),
        "stacks": [[[f"{code.co_filename}:{code.co_name}" for code in stack], n] for stack, n in counted.items()],
    }
    _stacks.clear()
    _requests[0], _sampler.samples, _sampler.began = 0, 0, time.perf_counter()
    return json.dumps(document).encode()


class _Sampler(threading.Thread):
    samples = 0
    began = time.perf_counter()

    def run(self) -> None:
        while True:
            time.sleep(INTERVAL_SECONDS)
            frames = sys._current_frames()
            _stacks.update(_codes(frames[thread]) for thread in tuple(_in_request) if thread in frames)
            self.samples += 1


def _codes(frame: FrameType | None) -> tuple[CodeType, ...]:
    codes = []
    while frame is not None and frame.f_code is not application.__code__:
        codes.append(frame.f_code)
        frame = frame.f_back
    return tuple(codes)


_sampler = _Sampler(daemon=True)
_sampler.start()
