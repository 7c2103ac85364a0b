"""The compared systems: each answers ``encode`` and ``segment`` as the selector does (see ``table``)."""
