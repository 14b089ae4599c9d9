"""One file per command of the `pfadwerk` program, so that `cli.py` stays a thin list of them (docs/decisions/002)."""
