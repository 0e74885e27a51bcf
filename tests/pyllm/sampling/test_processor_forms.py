"""Processors of two and of three arguments."""

from functools import partial

import pytest

from pyllm.sampling.processor_forms import number_of_arguments, with_three_arguments


class Callable:
    def __call__(self, output, logits):
        return (output, logits)

    def three(self, prompt, output, logits):
        return (prompt, output, logits)


@pytest.mark.parametrize(
    ("processor", "count"),
    [
        (lambda output, logits: 0, 2),
        (lambda prompt, output, logits: 0, 3),
        (lambda output, logits, scale=1.0: 0, 3),
        (lambda output, logits, *, scale=1.0: 0, 2),
        (lambda *_: 0, 3),
        (lambda logits: 0, None),
        (lambda: 0, None),
        (lambda a, b, c, d: 0, None),
        (lambda a, b, *, c: 0, None),
        (Callable(), 2),
        (Callable().three, 3),
        (partial(Callable().three, [1]), 2),
        (print, 3),
        (max, 3),
    ],
)
def test_number_of_arguments(processor, count):
    assert number_of_arguments(processor) == count


def test_all_are_called_alike():
    assert with_three_arguments(Callable())([1], [2], [3]) == ([2], [3])
    assert with_three_arguments(Callable().three)([1], [2], [3]) == ([1], [2], [3])
