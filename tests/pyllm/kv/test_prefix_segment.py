"""Records on disk: whole and undamaged, or nothing."""

import os

import pytest

from pyllm.kv.prefix_segment import new_record, payload_of, scan, seal, verified

DIGEST, KEY, PAYLOAD = b"d" * 32, b"tokens", b"the bytes of a block"


def record_of(digest=DIGEST, key=KEY, payload=PAYLOAD):
    record = new_record(key, len(payload))
    payload_of(record, key)[:] = payload
    seal(record, digest, key)
    return record


def scanned(tmp_path, data, payload_bytes=20):
    path = tmp_path / "x.kv"
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return list(scan(descriptor, payload_bytes))
    finally:
        os.close(descriptor)


def test_what_is_sealed_is_read_back():
    assert verified(memoryview(record_of()), DIGEST, KEY) == PAYLOAD


def test_every_flipped_byte_is_seen():
    record = record_of()
    for place in range(len(record)):
        for bit in (0, 7):
            damaged = bytearray(record)
            damaged[place] ^= 1 << bit
            assert verified(memoryview(damaged), DIGEST, KEY) is None


def test_another_chain_or_other_tokens_are_not_a_hit():
    record = memoryview(record_of())
    assert verified(record, b"e" * 32, KEY) is None
    assert verified(record, DIGEST, b"others") is None
    assert verified(record, DIGEST, KEY + b"t") is None


@pytest.mark.parametrize("size", range(0, 90, 7))
def test_a_short_record_is_none(size):
    assert verified(memoryview(record_of())[:size], DIGEST, KEY) is None


def test_scan_finds_every_whole_record(tmp_path):
    records = [record_of(bytes([n]) * 32, b"k" * n) for n in range(1, 4)]
    data = b"".join(records)
    found = scanned(tmp_path, data)
    assert [record.digest for record in found] == [bytes([n]) * 32 for n in range(1, 4)]
    for record, whole in zip(found, records, strict=True):
        assert data[record.offset : record.end] == whole


def test_scan_ends_where_a_killed_writer_stopped(tmp_path):
    one, two = record_of(), record_of(b"e" * 32)
    for kept in range(0, len(two), 5):
        assert len(scanned(tmp_path, one + two[:kept])) == 1


@pytest.mark.parametrize(
    "junk", [b"", b"x", b"\0" * 500, b"pyllmkv1" + b"\xff" * 500, os.urandom(5000)]
)
def test_scan_of_anything_else_finds_nothing(tmp_path, junk):
    assert scanned(tmp_path, junk) == []


def test_scan_wants_payloads_of_one_size(tmp_path):
    assert scanned(tmp_path, record_of(), payload_bytes=21) == []
