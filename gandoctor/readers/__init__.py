"""One module a format, and `load.py`, which finds the runs below a path.

A reader is a module here with

    KIND = "log"        # or "config", "samples", "checkpoint", "tracker" (named, not read): what it is to a run
    ORDER = 50          # who is asked first: formats with a sure signature below 30, guesses above 70
    def sniff(head: Head) -> bool: ...              # cheap: looks at the head only, content before name
    def read(path: Path) -> list[RunParts]: ...     # one RunParts for each run in the file

`sniff` never raises. `read` raises OSError if the file cannot be opened, and nothing else: what is
wrong inside the file is a LogProblem in `RunParts.problems`, and reading goes on after it.
A reader of logs that are appended to may also have a

    class Following:                                 # follow.py: only what is new is read
        def __init__(self, path: Path): ...
        def take(self, file, size: int): ...         # what was written since, up to byte `size`
        def parts(self) -> list[RunParts]: ...       # as `read`, of all that was taken; may be asked again

A heavy library is imported inside `read`. To add a format, add a module: nothing else changes.
"""
