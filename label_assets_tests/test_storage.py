"""What Dagster's storage remembers of its own schema."""

from label_assets.storage import _once_found


def test_what_is_there_is_asked_for_once_and_what_is_not_each_time() -> None:
    there, asked = {"events"}, []

    def ask(_connection: object, name: str) -> bool:
        asked.append(name)
        return name in there

    has = _once_found(ask)
    assert [has(None, "events"), has(None, "events")] == [True, True]
    assert [has(None, "tags"), has(None, "tags")] == [False, False]
    there.add("tags")  # by a migration meanwhile
    assert [has(None, "tags"), has(None, "tags")] == [True, True]
    assert asked == ["events", "tags", "tags", "tags"]
