"""Takes in the last rows: programs stop to print, then their bpftraces end."""

from __future__ import annotations

import time
from dataclasses import dataclass

from stackledger.capture.control import Control
from stackledger.capture.interrupts import Interrupts
from stackledger.capture.pump import PAUSE_S, Pump
from stackledger.capture.stream import Stream

_STOP_LIMIT_S = 120.0
_ASK_AGAIN_S = 0.5
_REMIND_S = 2.0
# bpftrace 0.17 reads one buffer per CPU in turn: the last row of one is not the last of all.
_QUIET_S = 0.15
_OWN_S = 3.0


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a recording; a second signal cuts each step short."""

    streams: list[Stream]
    pump: Pump
    control: Control
    interrupts: Interrupts

    def quiesce(self, grace_s: float) -> None:
        """Have the programs stop printing, and take in what they printed before."""
        begun = time.monotonic()
        asked = quiet = 0.0
        while any(stream.open for stream in self.streams) and self.interrupts.count <= 1:
            now = time.monotonic()
            waiting = [one for one in self.streams if one.open and not one.stopped]
            if waiting and now - asked > _ASK_AGAIN_S:
                self.control.stop()
                asked = now
            # A script of the user's own may print on and on.
            patience_s = _OWN_S if any(one.own for one in self.streams) else grace_s
            if (not waiting and quiet >= _QUIET_S) or now - begun > patience_s:
                return
            came = self.pump.read(PAUSE_S)
            self.pump.decode()
            quiet = 0.0 if came else quiet + time.monotonic() - now

    def take_last(self, grace_s: float) -> None:
        """Read until every bpftrace that was told to end has, or `grace_s` of silence."""
        begun = quiet_since = asked = time.monotonic()
        while any(stream.open for stream in self.streams) and self.interrupts.count <= 1:
            if self.pump.read(0.1):
                quiet_since = time.monotonic()
            self.pump.decode()
            now = time.monotonic()
            if now - asked > _REMIND_S:
                asked = now
                for stream in self.streams:
                    if stream.open:
                        stream.tracer.remind()
            if now - quiet_since > grace_s or now - begun > _STOP_LIMIT_S:
                return
        self.pump.decode()
