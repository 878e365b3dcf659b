"""Faults on purpose: kills, full disks, flipped bits, hostile files; docs/reliability.md."""
