"""Errors say what was asked, found, allowed, and what to do; they survive a process border."""

import pickle

from label_assets import errors


def test_every_error_is_in_the_tree_of_the_docstring() -> None:
    own = [name for name, item in vars(errors).items() if isinstance(item, type) and issubclass(item, Exception)]
    drawn = errors.__doc__ or ""
    assert [name for name in own if name not in drawn] == []


def test_error_survives_pickling() -> None:
    error = errors.SourceEmptyError(asked="a", found="b", allowed="c", action="d")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is errors.SourceEmptyError
    assert str(again) == str(error) == "Asked: a. Found: b. Allowed: c. Next: d."
