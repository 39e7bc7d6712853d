"""Sends requests one after another; times each by the kernel's clock of the answer's arrival.

    python precise_client.py PORT PATH REQUESTS RATE_HZ

`{n}` in PATH becomes a number of its own for each request. A client that reads its
own clock after it was woken counts its wake-up, a tenth of a millisecond on an idle
virtual machine: too much where a request takes half of one. SO_TIMESTAMPNS tells when
the answer's last segment arrived. Prints the mean of the latencies in nanoseconds.
"""

from __future__ import annotations

import re
import socket
import struct
import sys
import time

SO_TIMESTAMPNS = 35
FIRST_ID = 100_000_000_000_000


def latency_ns(connection: socket.socket, path: str) -> int:
    """Return the time from just before the send to the arrival of the answer's last byte."""
    request = f"GET {path} HTTP/1.1\r\nHost: lab\r\n\r\n".encode()
    sent_ns = time.time_ns()
    connection.sendall(request)
    answer = b""
    while True:
        data, control, _, _ = connection.recvmsg(65536, 256)
        answer += data
        head, separator, body = answer.partition(b"\r\n\r\n")
        size = re.search(rb"content-length: *(\d+)", head.lower())
        if separator and size and len(body) >= int(size[1]):
            seconds, nanoseconds = struct.unpack("qq", control[0][2])
            return int(seconds * 1_000_000_000 + nanoseconds - sent_ns)


def main(port: int, path: str, requests: int, rate_hz: float) -> None:
    """Send the requests at their times, print the mean latency."""
    total_ns = 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        begun = time.monotonic()
        for number in range(requests):
            time.sleep(max(0.0, begun + number / rate_hz - time.monotonic()))
            total_ns += latency_ns(connection, path.replace("{n}", str(FIRST_ID + number)))
    print(total_ns / requests)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
