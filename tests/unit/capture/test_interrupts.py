"""Signals are counted, whatever the program is doing."""

from __future__ import annotations

import io
import os
import signal
import threading
import time

from pyarrow import csv

from stackledger.capture.interrupts import Interrupts

MANY = 2_000_000


def test_arrow_reads_on_when_a_signal_comes():
    text = b"1,2,3\n" * MANY

    def interrupt():
        while not done.wait(0.002):
            os.kill(os.getpid(), signal.SIGINT)

    done = threading.Event()
    other = threading.Thread(target=interrupt)
    with Interrupts() as interrupts:
        other.start()
        try:
            options = csv.ReadOptions(column_names=["a", "b", "c"], use_threads=False)
            table = csv.read_csv(io.BytesIO(text), read_options=options)
        finally:
            done.set()
            other.join()
        time.sleep(0)  # Python's handlers run between its own instructions
        assert table.num_rows == MANY
        assert interrupts.count > 0
