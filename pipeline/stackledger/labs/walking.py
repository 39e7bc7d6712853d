"""Walks through a lab's captures: its commands one by one, each with why."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

from stackledger.errors import StackledgerError
from stackledger.labs import servers
from stackledger.place import STORE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stackledger.labs.lab import Step


def walk(steps: Sequence[Step], store: Path) -> None:
    """Run every step's command; on a terminal, wait to be told to go on.

    Raises StackledgerError where one fails, after what it said itself.
    """
    watched = sys.stdin.isatty() and sys.stdout.isatty()
    environment = {**os.environ, **servers.module_path(), STORE_VARIABLE: str(store)}
    for number, step in enumerate(steps, 1):
        print(f"\n{number}/{len(steps)}  {step.says}")
        print(f"$ stackledger {shlex.join(step.words)}", flush=True)
        if watched:
            print("(Enter runs it)", end=" ", flush=True)
            sys.stdin.readline()
        command = [*servers.module("stackledger"), *step.words]
        if subprocess.run(command, env=environment, check=False).returncode:
            raise StackledgerError("a step of the lab failed", shlex.join(step.words))
