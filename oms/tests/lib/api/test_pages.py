"""Lists in pages and logs by cursor: every row once, whatever the size, also while rows are added."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from compliance.models import Alert
from oms.lib.api.keysets import KeysetQuery, keyset_of
from oms.lib.api.pages import MAX_PAGE, MAX_SIZE, PageQuery, page_of
from oms.lib.clock import now
from oms.lib.errors import Invalid

pytestmark = pytest.mark.django_db


@pytest.fixture
def alerts():
    return add(*range(7))


def add(*numbers):
    made = [
        Alert(key=f"k{n:02}", kind="TEST", summary="x", raised_at=now(), last_raised_at=now()) for n in numbers
    ]  # fmt: skip
    return Alert.objects.bulk_create(made)


def names(rows):
    return [{"key": row.key} for row in rows]


def keys(answer):
    return [document["key"] for document in answer["content"]]


class TestPages:
    @pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8, 200])
    def test_all_pages_together_are_the_list(self, alerts, size):
        seen, page = [], 0
        while True:
            answer = page_of(Alert.objects.order_by("key"), {"page": page, "size": size}, names)
            seen += keys(answer)
            assert (answer["page"], answer["size"], answer["totalElements"]) == (page, size, 7)
            page += 1
            if page == answer["totalPages"]:
                break
        assert seen == [alert.key for alert in alerts]
        assert answer["totalPages"] == -(-7 // size)

    @pytest.mark.parametrize("page", [7, 99, MAX_PAGE])
    def test_beyond_the_end_there_is_nothing_and_nothing_is_looked_for(self, alerts, page):
        with CaptureQueriesContext(connection) as captured:
            answer = page_of(Alert.objects.order_by("key"), {"page": page, "size": 1}, names)
        assert (answer["content"], answer["totalElements"]) == ([], 7)
        assert len(captured) == 1

    def test_an_empty_list_has_no_pages(self):
        assert page_of(Alert.objects.order_by("key"), {"page": 0, "size": 20}, names) == {
            "content": [], "page": 0, "size": 20, "totalElements": 0, "totalPages": 0,
        }  # fmt: skip

    @pytest.mark.parametrize(
        "wrong", [{"page": -1}, {"page": MAX_PAGE + 1}, {"size": 0}, {"size": MAX_SIZE + 1}, {"page": "1.5"}]
    )
    def test_bounds_of_a_query(self, wrong):
        with pytest.raises(Invalid) as refusal:
            PageQuery.read(wrong)
        assert [error.pointer for error in refusal.value.errors] == [f"/{name}" for name in wrong]
        assert PageQuery.read({}) == {"page": 0, "size": 20}


class TestKeysets:
    def part(self, *, limit=3, key="id", descending=False, **query):
        return keyset_of(
            Alert.objects.all(), {"limit": limit, **query}, key=key, descending=descending,
            document=lambda row: {"key": row.key},
        )  # fmt: skip

    def walk(self, between=lambda: None, **how):
        answer = self.part(**how)
        yield from keys(answer)
        while "nextCursor" in answer:
            between()
            answer = self.part(cursor=answer["nextCursor"], **how)
            yield from keys(answer)

    @pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
    @pytest.mark.parametrize("key", ["id", "key"])
    @pytest.mark.parametrize("descending", [False, True])
    def test_a_walk_sees_every_row_once_in_order(self, alerts, limit, key, descending):
        wanted = [alert.key for alert in alerts]
        walked = list(self.walk(limit=limit, key=key, descending=descending))
        assert walked == (wanted[::-1] if descending else wanted)

    def test_rows_that_come_meanwhile_neither_repeat_nor_hide_any(self, alerts):
        fresh = iter(range(10, 14))
        newest_first = list(self.walk(lambda: add(next(fresh)), descending=True))
        assert newest_first == [alert.key for alert in alerts[::-1]], "what is newer than the first page stays away"
        fresh = iter(range(20, 60))
        oldest_first = list(self.walk(lambda: add(next(fresh))))
        assert oldest_first[:7] == [alert.key for alert in alerts]
        assert len(oldest_first) == len(set(oldest_first))

    def test_the_end_has_no_cursor_and_an_empty_log_is_at_its_end(self, alerts):
        assert "nextCursor" not in self.part(limit=7)
        assert "nextCursor" in self.part(limit=6)
        Alert.objects.all().delete()
        assert self.part() == {"content": []}

    @pytest.mark.parametrize("cursor", ["x", "!!!!", "bnVsbA", "dHJ1ZQ", "W10", "InRleHQi", "MS41"])
    def test_a_cursor_that_was_not_handed_out_is_refused(self, alerts, cursor):
        with pytest.raises(Invalid) as refusal:
            self.part(cursor=cursor)
        assert [error.pointer for error in refusal.value.errors] == ["/cursor"]

    @pytest.mark.parametrize(("limit", "is_taken"), [(1, True), (500, True), (0, False), (501, False)])
    def test_bounds_of_a_part(self, limit, is_taken):
        if is_taken:
            assert KeysetQuery.read({"limit": limit})["limit"] == limit
        else:
            with pytest.raises(Invalid):
                KeysetQuery.read({"limit": limit})
