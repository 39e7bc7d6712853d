"""The host's counters, second by second, from /proc and /sys."""
