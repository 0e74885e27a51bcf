'''Messages between """.'''

from __future__ import annotations

import pytest

from pyllm.cli.multiline import Message, MessageReader


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["hello"], Message("hello", False)),
        (["/bye"], Message("/bye", True)),
        (['"""one line"""'], Message("one line", False)),
        (['"""first', "second", 'third"""'], Message("first\nsecond\nthird", False)),
        (['"""', "/bye", '"""  '], Message("\n/bye\n", False)),
        (['"""/bye"""'], Message("/bye", False)),
        (['""" """'], Message(" ", False)),
        (['/set system """be', 'brief"""'], Message("/set system be\nbrief", True)),
        (['a docstring is """quoted"""'], Message('a docstring is """quoted"""', False)),
    ],
)
def test_messages(lines: list[str], expected: Message) -> None:
    reader = MessageReader()
    for line in lines[:-1]:
        assert reader.feed(line) is None
        assert reader.is_open
    assert reader.feed(lines[-1]) == expected
    assert not reader.is_open


def test_cancel_forgets_the_open_message() -> None:
    reader = MessageReader()
    assert reader.feed('/set system """half') is None
    reader.cancel()
    assert reader.feed("whole") == Message("whole", False)
    assert reader.feed('"""x"""') == Message("x", False)
