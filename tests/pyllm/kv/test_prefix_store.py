"""Blocks on disk: found again after a restart, whatever happened meanwhile."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pyllm.engine.engine import Engine
from pyllm.errors import RequestError
from pyllm.kv import prefix_directory, prefix_store, prefix_writer
from pyllm.kv.prefix_cache import chain_digest
from pyllm.kv.prefix_store import PrefixStore, identity_of
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from tests.pyllm.fake_pool import FakePool
from tests.pyllm.fake_program import BOS, THINK, FakeModel, hashed_logits
from tests.support.child_process import environment

IDENTITY = identity_of(b"model")


@pytest.fixture(autouse=True)
def small_disk_is_fine(monkeypatch):
    monkeypatch.setattr(prefix_directory, "SPARE_BYTES", 0)


def chain(store, *keys):
    """(digest, key) of each block of the chain."""
    digest, wanted = store.root, []
    for key in keys:
        digest = chain_digest(digest, key)
        wanted.append((digest, key))
    return wanted


def filled(pool, number):
    pool.blocks[0] = np.random.default_rng(number).integers(0, 256, pool.block_bytes)
    return pool.blocks[0].tobytes()


def write(directory, keys, pool=None, **options):
    """Write a chain of blocks; returns their bytes."""
    pool = pool or FakePool()
    store = PrefixStore(directory, IDENTITY, pool, **options)
    payloads = []
    for number, (digest, key) in enumerate(chain(store, *keys)):
        payloads.append(filled(pool, number))
        store.offer(digest, key, 0)
    store.close()
    return payloads


def read(directory, keys, pool=None, **options):
    store = PrefixStore(directory, IDENTITY, pool or FakePool(), **options)
    try:
        return [bytes(payload) for payload in store.read(chain(store, *keys))]
    finally:
        store.close()


KEYS = [b"one", b"two", b"three"]


def only_file(directory):
    (path,) = directory.glob("*/*.kv")
    return path


def test_a_chain_is_read_back_after_a_restart(tmp_path):
    payloads = write(tmp_path, KEYS)
    assert read(tmp_path, KEYS) == payloads
    assert read(tmp_path, [b"one", b"other"]) == payloads[:1]
    assert read(tmp_path, KEYS[1:]) == []


def test_what_was_written_is_readable_at_once(tmp_path):
    pool = FakePool()
    store = PrefixStore(tmp_path, IDENTITY, pool)
    (wanted,) = chain(store, b"one")
    payload = filled(pool, 1)
    store.offer(*wanted, 0)
    while wanted[0] not in store:
        time.sleep(0.001)
    assert [bytes(p) for p in store.read([wanted])] == [payload]
    store.close()


def test_long_chains_are_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(prefix_store, "READ_BYTES", 700)
    monkeypatch.setattr(prefix_store, "SEGMENT_BYTES", 2000)
    keys = [bytes([n]) for n in range(200)]
    pool = FakePool(block_bytes=3000)
    payloads = write(tmp_path, keys, pool)
    assert len(list(tmp_path.glob("*/*.kv"))) > 5
    assert read(tmp_path, keys, FakePool(block_bytes=3000)) == payloads


def test_other_models_and_layouts_see_nothing(tmp_path):
    write(tmp_path, KEYS)
    for identity, layout in [(identity_of(b"other"), "fake 1"), (IDENTITY, "fake 2")]:
        store = PrefixStore(tmp_path, identity, FakePool(layout=layout))
        assert len(store) == 0
        store.close()


def test_facts_cannot_pass_for_each_other():
    assert identity_of(b"ab", b"c") != identity_of(b"a", b"bc")


def test_a_flipped_byte_anywhere_is_a_miss_and_the_file_goes(tmp_path):
    payloads = write(tmp_path, KEYS)
    path = only_file(tmp_path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 11):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        found = read(tmp_path, KEYS)
        assert found == payloads[: len(found)]
        assert len(found) < len(KEYS)
        assert not path.exists() or len(found) <= place * len(KEYS) // len(whole)
        path.write_bytes(whole)
        path.chmod(0o600)


def test_a_truncated_file_gives_what_is_whole_and_is_continued(tmp_path):
    payloads = write(tmp_path, KEYS)
    path = only_file(tmp_path)
    whole = path.read_bytes()
    for size in range(0, len(whole), 13):
        path.write_bytes(whole[:size])
        assert read(tmp_path, KEYS) == payloads[: 3 * size // len(whole)]
        assert write(tmp_path, KEYS) == payloads
        assert only_file(tmp_path).read_bytes() == whole


@pytest.mark.parametrize("kind", ["file", "directory", "pipe", "link", "gone"])
def test_hostile_files_are_misses(tmp_path, kind):
    store = PrefixStore(tmp_path, IDENTITY, FakePool())
    store.close()
    path = tmp_path / store.root.hex() / "0.kv"
    {
        "file": lambda: path.write_bytes(os.urandom(10_000)),
        "directory": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to("/dev/zero"),
        "gone": lambda: path.symlink_to(tmp_path / "nothing"),
    }[kind]()
    assert read(tmp_path, KEYS) == []
    write(tmp_path, KEYS)


def test_a_file_that_another_process_removed_is_a_miss(tmp_path):
    write(tmp_path, KEYS)
    store = PrefixStore(tmp_path, IDENTITY, FakePool())
    assert len(store) == 3
    only_file(tmp_path).unlink()
    assert list(store.read(chain(store, *KEYS))) == []
    assert len(store) == 0
    store.close()


def test_a_file_that_cannot_be_opened_just_now_stays(tmp_path, monkeypatch):
    payloads = write(tmp_path, KEYS)
    store = PrefixStore(tmp_path, IDENTITY, FakePool())

    def too_many(*_):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(prefix_directory.PrefixDirectory, "open", too_many)
        assert list(store.read(chain(store, *KEYS))) == []
    store.close()
    assert read(tmp_path, KEYS) == payloads


def test_what_another_process_removed_is_written_again_when_it_is_used(tmp_path):
    write(tmp_path, KEYS)
    store = PrefixStore(tmp_path, IDENTITY, FakePool())
    only_file(tmp_path).unlink()
    wanted = chain(store, *KEYS)
    store.mark_used([digest for digest, _ in wanted])
    for digest, key in wanted:
        store.offer(digest, key, 0)
    store.close()
    assert len(read(tmp_path, KEYS)) == 3


def test_what_is_used_is_marked_first_block_last(tmp_path, monkeypatch):
    monkeypatch.setattr(prefix_store, "SEGMENT_BYTES", 1)
    pool = FakePool(block_bytes=20_000)
    write(tmp_path, KEYS, pool)
    for path in tmp_path.glob("*/*.kv"):
        os.utime(path, (1, 1))
    store = PrefixStore(tmp_path, IDENTITY, pool)
    store.mark_used([digest for digest, _ in chain(store, *KEYS)])
    store.close()
    times = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*/*.kv"))]
    assert len(times) == 3
    assert times == sorted(set(times), reverse=True)
    assert times[-1] > 10**9


def test_a_segment_removed_while_it_is_written_is_replaced(tmp_path):
    pool = FakePool()
    store = PrefixStore(tmp_path, IDENTITY, pool)
    first, second = chain(store, b"one", b"two")
    store.offer(*first, 0)
    while first[0] not in store:
        time.sleep(0.001)
    only_file(tmp_path).unlink()
    store.offer(*second, 0)
    store.close()
    assert len(list(tmp_path.glob("*/*.kv"))) == 1


def test_the_bytes_are_bounded(tmp_path):
    pool = FakePool(block_bytes=20_000)
    for start in range(0, 60, 10):
        write(tmp_path, [bytes([n]) for n in range(start, start + 10)], pool, max_bytes=300_000)
        assert sum(path.stat().st_size for path in tmp_path.glob("*/*.kv")) <= 300_000
    last = [bytes([n]) for n in range(50, 60)]
    assert len(read(tmp_path, last, pool, max_bytes=300_000)) == 10


def test_fewer_bytes_than_a_block_are_refused(tmp_path):
    with pytest.raises(RequestError, match="prefix_cache_bytes: 100: must be at least"):
        PrefixStore(tmp_path, IDENTITY, FakePool(), max_bytes=100)


def test_a_disk_that_lags_behind_costs_blocks_not_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(prefix_store, "QUEUE_BYTES", 0)
    write(tmp_path, KEYS)
    assert read(tmp_path, KEYS) == []


def test_failing_to_write_is_said_once_and_stops_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(prefix_directory, "SPARE_BYTES", 1 << 60)
    write(tmp_path, KEYS)
    assert capfd.readouterr().err.count("prefixes are no longer kept on disk") == 1


def test_whatever_else_stops_the_writer_is_said_too(tmp_path, monkeypatch, capfd):
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(prefix_writer, "seal", fail)
    write(tmp_path, KEYS)
    assert "prefixes are no longer kept on disk" in capfd.readouterr().err
    assert read(tmp_path, KEYS) == []


def test_two_processes_write_to_files_of_their_own(tmp_path):
    stores = [PrefixStore(tmp_path, IDENTITY, FakePool()) for _ in range(2)]
    for number, store in enumerate(stores):
        for digest, key in chain(store, bytes([number]), b"x"):
            store.offer(digest, key, 0)
    for store in stores:
        while len(store) < 2:
            time.sleep(0.001)
    assert len(list(tmp_path.glob("*/*.kv"))) == 2
    for store in stores:
        store.close()
    assert all(len(read(tmp_path, [bytes([n]), b"x"])) == 2 for n in range(2))


KILLED = """
import sys
from pathlib import Path
from pyllm.kv import prefix_directory
from pyllm.kv.prefix_cache import chain_digest
from pyllm.kv.prefix_store import PrefixStore, identity_of
from tests.pyllm.fake_pool import FakePool

prefix_directory.SPARE_BYTES = 0
pool = FakePool(block_bytes=100_000)
store = PrefixStore(Path(sys.argv[1]), identity_of(b"model"), pool)
digest = store.root
for number in range(10**6):
    key = number.to_bytes(4, "little")
    digest = chain_digest(digest, key)
    pool.blocks[0] = number % 251
    store.offer(digest, key, 0)
    if number == 5:
        print("begun", flush=True)
"""


def test_a_writer_may_be_killed_at_any_time(tmp_path):
    keys = [number.to_bytes(4, "little") for number in range(2000)]
    for delay in (0.0, 0.01, 0.05):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)],
            stdout=subprocess.PIPE, env=environment(),
        )  # fmt: skip
        with child:
            child.stdout.readline()
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
        found = read(tmp_path, keys, FakePool(block_bytes=100_000))
        assert found == [bytes([n % 251]) * 100_000 for n in range(len(found))]
        write(tmp_path, [b"another"], FakePool(block_bytes=100_000))


# ---- with an engine --------------------------------------------------------------------------


def engine_of(directory, **model):
    model = FakeModel(logits_of=hashed_logits, block_size=16, **model)
    store = PrefixStore(directory, IDENTITY, FakePool.of(model.program))
    return Engine(model, prefix_store=store)


def answer(engine, prompts, **params):
    params = SamplingParams(
        max_tokens=20, seed=1, logprobs=1, output_kind=RequestOutputKind.FINAL_ONLY, **params
    )
    requests = [engine.make_request(None, prompt, params) for prompt in prompts]
    for request in requests:
        engine.add(request)
    outputs = {}
    while engine.has_unfinished():
        outputs |= {output.request_id: output for output in engine.step()}
        engine.scheduler.check()
    engine.prefix_store.close()
    return [outputs[request.request_id] for request in requests]


def test_an_engine_goes_on_where_another_stopped(tmp_path):
    prompt = [BOS, *range(200)]
    (cold,) = answer(engine_of(tmp_path), [prompt])
    engine = engine_of(tmp_path)
    (warm,) = answer(engine, [prompt])
    assert (cold.num_cached_tokens, warm.num_cached_tokens) == (0, 192)
    assert warm.outputs == cold.outputs
    assert engine.model.program.computed_tokens < 9 + 20


def test_blocks_from_disk_are_read_over_several_steps_while_others_run(tmp_path, monkeypatch):
    monkeypatch.setattr("pyllm.engine.scheduler.MOST_LOADED_BYTES", 3 * 256)
    prompts = [[7] * 10, [BOS, *range(200)]]
    cold = answer(engine_of(tmp_path), prompts)
    warm = answer(engine_of(tmp_path), prompts)
    assert [output.outputs for output in warm] == [output.outputs for output in cold]
    assert warm[1].num_cached_tokens == 192


def test_of_a_long_prefix_only_the_window_is_read(tmp_path, monkeypatch):
    """While another writes, over several steps; the pool has no room for all of it."""
    monkeypatch.setattr("pyllm.engine.scheduler.MOST_LOADED_BYTES", 2 * 256)
    prompts = [[7] * 10, [BOS, *range(200)]]
    window = {"kv_window": 70, "num_kv_blocks": 12}
    cold = answer(engine_of(tmp_path, **window), prompts)
    engine = engine_of(tmp_path, **window)
    loaded = []
    load = engine.prefix_store.load
    monkeypatch.setattr(
        engine.prefix_store, "load", lambda block, data: loaded.append(block) or load(block, data)
    )
    warm = answer(engine, prompts)
    assert [output.outputs for output in warm] == [output.outputs for output in cold]
    assert [output.num_cached_tokens for output in warm] == [0, 192]
    assert len(loaded) == 5  # 192 - 69 to 191


def test_a_window_that_cannot_be_read_whole_is_computed(tmp_path):
    prompt = [BOS, *range(200)]
    window = {"kv_window": 70, "num_kv_blocks": 12}
    (cold,) = answer(engine_of(tmp_path, **window), [prompt])
    path = only_file(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 5] ^= 1  # among the blocks of the window
    path.write_bytes(data)
    (warm,) = answer(engine_of(tmp_path, **window), [prompt])
    assert warm.outputs == cold.outputs
    assert warm.num_cached_tokens < 192


def test_a_small_pool_reads_what_fits(tmp_path):
    prompts = [[BOS, *range(200)], [THINK, *range(200)], [BOS, *range(190), 1, 2]]
    cold = answer(engine_of(tmp_path), prompts)
    warm = answer(engine_of(tmp_path, num_kv_blocks=17), prompts)
    assert [output.outputs for output in warm] == [output.outputs for output in cold]


def test_a_damaged_directory_changes_no_answer(tmp_path):
    prompt = [BOS, *range(200)]
    (cold,) = answer(engine_of(tmp_path), [prompt])
    path = only_file(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (warm,) = answer(engine_of(tmp_path), [prompt])
    assert warm.outputs == cold.outputs
    assert 0 < warm.num_cached_tokens < 192
