"""Files, caches, random streams, signals, backends."""
