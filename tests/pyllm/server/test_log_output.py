"""The log's reader may stop; those who log never notice."""

import io
import json
import logging
import threading
import time

from pyllm.server import log_output
from pyllm.server.log_output import logging_to


class StuckStream(io.StringIO):
    """A pipe that nobody reads, until somebody does."""

    def __init__(self):
        super().__init__()
        self.read = threading.Event()

    def write(self, text):
        self.read.wait(20)
        return super().write(text)


def test_lines_arrive_in_order_and_all_of_them():
    stream = io.StringIO()
    with logging_to("json", stream=stream):
        for number in range(100):
            logging.getLogger("pyllm.a").info("line %d", number)
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert events == [f"line {number}" for number in range(100)]


def test_only_from_the_wished_level_on():
    stream = io.StringIO()
    with logging_to("text", logging.WARNING, stream):
        logging.getLogger("pyllm.a").info("quiet")
        logging.getLogger("pyllm.a").warning("loud")
        logging.getLogger("elsewhere").error("not ours")
    assert stream.getvalue().count("\n") == 1
    assert "event=loud" in stream.getvalue()


def test_loggers_are_left_as_they_were():
    logger = logging.getLogger("pyllm")
    before = logger.level, logger.propagate, list(logger.handlers)
    with logging_to("text", stream=io.StringIO()):
        assert logger.handlers != before[2]
    assert (logger.level, logger.propagate, logger.handlers) == before


def test_nobody_waits_for_a_reader_that_stopped(monkeypatch):
    monkeypatch.setattr(log_output, "_MOST_WAITING", 5)
    stream = StuckStream()
    logger = logging.getLogger("pyllm.a")
    with logging_to("json", stream=stream):
        for _ in range(50):
            logger.info("x")  # would hang, if it waited
        stream.read.set()
        deadline = time.monotonic() + 20
        while stream.getvalue().count("\n") < 5:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        logger.info("last")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    lost = [line["event"] for line in lines if line["level"] == "warning"]
    assert len(lost) == 1
    count = int(lost[0].split()[0])
    assert count + sum(line["event"] == "x" for line in lines) == 50
    assert lines[-1]["event"] == "last"


def test_a_reader_that_has_gone_does_not_end_the_log():
    stream = io.StringIO()
    with logging_to("text", stream=stream):
        stream.close()
        logging.getLogger("pyllm.a").info("into the void")
