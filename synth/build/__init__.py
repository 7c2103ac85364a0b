"""Building splits: one function per image, run by one process, several, or a Ray cluster."""
