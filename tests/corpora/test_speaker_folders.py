"""People are told from emotions, sessions and splits by their folders, and never guessed where they cannot be."""

import pytest

from avpretext.corpora.speaker_folders import SpeakerFolder, check, find
from avpretext.errors import UserError


def tree(*levels: str) -> list[str]:
    """Return clips in all combinations of folders; names of a level stand between blanks."""
    paths = [""]
    for level in levels:
        paths = [f"{path}{name}/" for path in paths for name in level.split()]
    return [f"{path}{number}.wav" for path in paths for number in (1, 2)]


@pytest.mark.parametrize(
    ("paths", "level"),
    [
        (tree("anna ben"), 1),
        (tree("Actor_01 Actor_02", "session1 session2"), 1),
        (tree("session1 session2", "anna ben"), 2),
        (tree("anna ben", "happy sad"), 1),
        (tree("happy sad", "anna ben"), 2),
        (tree("train test", "spk1 spk2"), 2),
        (["train/spk1/1.wav", "test/spk1/2.wav", "dev/spk2/3.wav"], 2),
        (tree("train test", "anna ben", "day1 day2"), 2),
        (["en/anna/1.wav", "de/ben/2.wav"], 2),
        (["id10001/5r0dWxy17C8/1.wav", "id10001/yQKQ/1.wav", "id10002/xyz/1.wav"], 1),
        (tree("sub-01 sub-02", "ses-01 ses-02"), 1),
        (tree("data", "anna ben", "wav"), 2),
        (tree("male female", "anna ben", "level_1 level_2"), 2),
        (tree("anna"), 1),
    ],
)
def test_the_level_of_people_is_found(paths, level):
    assert (find(paths, None, {}).level, find(paths, None, {}).problem) == (level, "")


@pytest.mark.parametrize(
    "levels",
    [("angry sad",), ("train test", "happy sad"), ("ANG HAP NEU",), ("1_anger 2_joy",), ("01_angry", "sad happy")],
)
def test_folders_of_emotions_are_nobody(levels):
    found = find(tree(*levels), None, {})
    assert (found.level, found.labels) == (0, True)
    assert {found.speaker_of(path) for path in tree(*levels)} == {None}


def test_folders_named_like_the_labels_of_the_table_are_nobody():
    paths = tree("ärger Freude\u00a0")
    found = find(paths, None, dict(zip(paths, ["Ärger", "ärger", "freude", "Freude"], strict=True)))
    assert (found.level, found.labels) == (0, True)


def test_folders_of_codes_that_stand_for_labels_are_no_people():
    paths = tree("anna ben", "x1 x2")
    labels = {path: {"x1": "calm", "x2": "tense"}[path.split("/")[1]] for path in paths}
    assert find(paths, None, labels).level == 1


@pytest.mark.parametrize("paths", [
    tree("P01 P02", "morning evening"), ["anna/1.wav", "ben/2.wav", "ben/more/3.wav"], tree("x y", "v w"),
])  # fmt: skip
def test_where_several_levels_may_be_people_a_run_stops_and_no_name_is_shared(paths):
    found = find(paths, None, {})
    assert {found.speaker_of(path) for path in paths} == {path.rpartition("/")[0] for path in paths}
    with pytest.raises(UserError, match=r"corpora\.mine: it is not told which folder is the speaker: folder 1 is '.*set"
                                        r" corpora\.mine\.speaker_folder"):  # fmt: skip
        check(found, "mine")


@pytest.mark.parametrize(
    ("chosen", "speaker"), [(1, "anna"), (2, "monday"), (-1, "monday"), (-2, "anna"), (0, None), (3, None)]
)
def test_a_chosen_folder_counts_whatever_it_is_called(chosen, speaker):
    found = find(["anna/monday/1.wav", "ben/monday/2.wav"], chosen, {})
    check(found, "mine")
    assert found.speaker_of("anna/monday/1.wav") == speaker


def test_files_in_no_folder_are_of_nobody():
    found = find(["1.wav", "anna/2.wav", "ben/3.wav"], None, {})
    assert [found.speaker_of(path) for path in ("1.wav", "anna/2.wav")] == [None, "anna"]
    assert find(["1.wav"], None, {}) == SpeakerFolder(0)


def test_a_name_in_several_folders_is_one_person_and_told():
    why = find(["train/spk1/1.wav", "test/spk1/2.wav", "test/spk2/3.wav"], None, {}).why
    assert why.endswith("1 of its names, such as 'spk1', lie in several folders: each counts as one person")
    assert "several" not in find(tree("Actor_01 Actor_02", "session1 session2"), None, {}).why
