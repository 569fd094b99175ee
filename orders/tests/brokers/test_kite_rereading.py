"""What is kept of one reading of a book is never taken for what the next one says."""

from orders.brokers.kite.rereading import Translations


def reading():
    translated = []

    def translate(row):
        translated.append(row["id"])
        return f"{row['id']}:{row['status']}"

    return Translations("id", translate), translated


def rows(*statuses):
    return [{"id": number, "status": status} for number, status in enumerate(statuses)]


def test_only_what_changed_or_is_new_is_translated_again():
    book, translated = reading()
    assert book.of(rows("OPEN", "OPEN")) == ["0:OPEN", "1:OPEN"]
    assert book.of(rows("OPEN", "COMPLETE", "OPEN")) == ["0:OPEN", "1:COMPLETE", "2:OPEN"]
    assert translated == [0, 1, 1, 2]


def test_the_very_same_answer_is_not_even_compared():
    book, translated = reading()
    same = rows("OPEN")
    assert book.of(same) is book.of(same)
    assert translated == [0]


def test_rows_of_one_name_stay_as_many_as_they_are():
    book, _ = reading()
    twice = [{"id": 1, "status": "OPEN"}, {"id": 1, "status": "COMPLETE"}]
    assert book.of(twice) == ["1:OPEN", "1:COMPLETE"]
    assert book.of([*twice]) == ["1:OPEN", "1:COMPLETE"]


def test_a_row_that_goes_and_comes_back_is_translated_anew():
    book, translated = reading()
    for answer in (rows("OPEN", "OPEN"), rows("OPEN"), rows("OPEN", "OPEN")):
        book.of(answer)
    assert translated == [0, 1, 1]
