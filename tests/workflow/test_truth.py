"""The whole flow, videos to labels, against what the demo's makers know of each clip."""

import csv

from tests.workflow.project import Project


def measured(project: Project, table: str) -> list[dict[str, str]]:
    with (project.folder / "results" / "tables" / table).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_stages_agree_with_the_truth(finished: Project) -> None:
    found = {(row["stage"], row["measure"]): float(row["value"]) for row in measured(finished, "truth.csv")}
    assert found["landmarks", "face_found"] >= 0.99
    assert found["action_units", "mean_pearson_r"] >= 0.6
    assert found["labels_activation", "spearman_rho"] >= 0.4
    assert found["labels_energy", "spearman_rho"] >= 0.3
    assert found["labels_emotion", "labelled_share"] >= 0.6
    assert found["labels_emotion", "agreement"] >= found["labels_emotion", "largest_class"] + 0.3


def test_action_units_that_move_much_are_followed(finished: Project) -> None:
    followed = {row["action_unit"]: row["pearson_r"] for row in measured(finished, "truth_action_units.csv")}
    for unit in ("AU12", "AU15", "AU25", "AU26"):
        assert float(followed[unit]) >= 0.6, unit
    assert followed["AU28"] == "", "an action unit that never moves has no correlation"
