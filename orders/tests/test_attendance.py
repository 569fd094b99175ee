"""Hints reach a worker that is there without a task, and send for one when nobody is."""

import time

import pytest

from oms.lib.redis import client
from orders.gateway import attendance
from orders.gateway.attendance import Attendance, Work, attend

AT_WORK = Attendance(Work.SENDING, 7)


@pytest.fixture(autouse=True)
def _no_keys_of_others():
    client().flushdb()


def test_the_first_hint_sends_for_a_worker_and_the_next_ones_do_not():
    assert not AT_WORK.ring()
    assert AT_WORK.ring()
    assert AT_WORK.ring()
    assert not Attendance(Work.LOOKING, 7).ring()
    assert not Attendance(Work.SENDING, 8).ring()


def test_whoever_is_there_hears_the_bell_once():
    AT_WORK.stay()
    assert AT_WORK.ring()
    assert AT_WORK.ring()
    assert AT_WORK.wait(1)
    began = time.monotonic()
    assert not AT_WORK.wait(0.05)
    assert time.monotonic() - began < 1


def test_after_a_worker_left_a_hint_sends_for_another():
    AT_WORK.stay()
    AT_WORK.leave()
    assert not AT_WORK.ring()


def test_what_comes_while_a_worker_leaves_is_still_done():
    todo, done = [1], []

    def go_on():
        if todo:
            done.append(todo.pop())
            return True
        if done == [1]:
            todo.append(2)  # just after it looked
        return False

    attend(AT_WORK, go_on, linger=0, seconds=5)
    assert done == [1, 2]
    assert not AT_WORK.ring(), "nobody is there any more"


def test_a_worker_that_never_runs_dry_makes_room_for_others(monkeypatch):
    monkeypatch.setattr(attendance, "SHARE_SECONDS", 0.1)
    client().lpush(attendance.QUEUE, "a task of another account")
    began = time.monotonic()
    attend(AT_WORK, lambda: time.sleep(0.01) or True, linger=0, seconds=60)
    assert time.monotonic() - began < 30


def test_a_worker_that_died_is_gone_after_a_moment(monkeypatch):
    AT_WORK.stay()
    assert 0 < client().ttl("oms:present:sending:7") <= attendance.PRESENT_SECONDS
