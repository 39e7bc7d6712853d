"""Notices a bpftrace that lives and does nothing any more: stopped, or stuck in the kernel."""

from __future__ import annotations

from collections.abc import Iterable

from stackledger.capture.control import Control
from stackledger.capture.stream import Stream

# Asked once a second; on an overloaded host an answer may take some.
_MOST_UNANSWERED = 10


class Liveness:
    """Asks those that have said nothing of late whether they are there.

    It counts its own questions, not time: a recorder that was itself held up accuses
    nobody.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._heard: dict[Stream, int] = {}
        self._unanswered: dict[Stream, int] = {}

    def wedged(self, streams: Iterable[Stream]) -> list[Stream]:
        """Return the running probes that left too many questions unanswered; call once a second."""
        silent = []
        for stream in streams:
            if not stream.open or stream.run.state != "recording":
                continue
            if self._heard.get(stream) == stream.heard_bytes:
                silent.append(stream)
            else:
                self._heard[stream] = stream.heard_bytes
                self._unanswered[stream] = 0
        if not silent:
            return []
        found = [one for one in silent if self._unanswered[one] >= _MOST_UNANSWERED]
        for stream in silent:
            self._unanswered[stream] += 1
        self._control.ask_ready()
        return found
