"""The one error a user sees: what is wrong, where, and what to do about it."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in the input or the call, worded for the person who can mend it.

    `gandoctor.cli` prints it and turns it into an exit code; nothing else catches it.
    """

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        hint = f"\nhint: {self.hint}" if self.hint else ""
        return f"{where}{self.message}{hint}"
