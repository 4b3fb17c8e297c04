"""The tables of a search of hyper-parameters as people read them."""

from pathlib import Path

from avpretext.evaluation.open_run import read_csv

FILES = ("trials", "chosen", "test")
"""Tables of a search, CSV files in its folder."""

CHOICES = {
    "nested": "each fold takes the trial that its own dev speakers score best. Report this score.",
    "flat": "all folds take the trial that the dev speakers of all folds score best. A dev speaker of one fold may be a"
    " test speaker of another, so this score is optimistic.",
    "untuned": "trial 0, the configuration as it is.",
}
"""How the trial of a fold is chosen."""

CAVEAT = "The intervals do not cover the draw of the trials: another search may choose other values."


def read(folder: Path) -> dict[str, list[dict[str, str]]] | None:
    """Return the tables of a search by name, cells as text; None where one of the files is missing."""
    paths = {name: folder / f"{name}.csv" for name in FILES}
    return {name: read_csv(path) for name, path in paths.items()} if all(map(Path.is_file, paths.values())) else None
