"""The errors a user can cause, told apart from the errors only a programmer can."""

from __future__ import annotations


class InputError(ValueError):
    """Bad user input.

    The message is one clear sentence: it names the file or field, says what was expected and what to do next.
    The command line prints it without a traceback and exits with code 2.
    """


class UnsupportedSystem(InputError):
    """A selection system can't do what was asked of it, on any photo."""
