"""`python -m gandoctor.cli`."""

from gandoctor.cli import main

main()
