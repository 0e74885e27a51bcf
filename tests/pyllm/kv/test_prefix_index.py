"""What lies where: pending, written, gone."""

from pathlib import Path

from pyllm.kv.prefix_index import PrefixIndex
from pyllm.kv.prefix_segment import Record


def test_a_block_is_known_from_the_moment_it_is_on_its_way():
    index = PrefixIndex(10)
    index.pending(b"a", 7)
    assert index.knows(b"a")
    assert index.find(b"a") is None
    assert index.pending_bytes == 7
    segment = index.segment(Path("x"))
    index.add(segment, Record(b"a", 0, 1, 10))
    index.finished(b"a", 7)
    assert index.knows(b"a")
    assert index.find(b"a") == (segment, Record(b"a", 0, 1, 10))
    assert index.pending_bytes == 0


def test_forgetting_a_file_forgets_its_blocks_only():
    index = PrefixIndex(10)
    one, two = index.segment(Path("1")), index.segment(Path("2"))
    index.add(one, Record(b"a", 0, 1, 10))
    index.add(two, Record(b"b", 0, 1, 10))
    index.add(two, Record(b"a", 99, 1, 10))  # there already
    index.forget(one)
    index.add(one, Record(b"c", 0, 1, 10))  # its writer did not know yet
    assert [index.knows(digest) for digest in (b"a", b"b", b"c")] == [False, True, False]
    assert len(index) == 1
