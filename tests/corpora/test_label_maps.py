"""Label maps: found by name, file or text, and complete, so that no label vanishes unseen."""

from pathlib import Path
from typing import Any

import pytest

from avpretext.config import CorpusOptions
from avpretext.corpora import READERS, label_maps
from avpretext.corpora.label_maps import check_complete, checked, label_map_of, map_files, shipped_map, shipped_maps
from avpretext.errors import UserError

FEELINGS = {"two": {"crema_d": {"ANG": "bad", "HAP": "good"}, "ravdess": {"angry": "bad"}}, "one": {"ravdess": {}}}


def corpus(label_map: Any, reader: str = "crema_d") -> CorpusOptions:
    return CorpusOptions.model_validate({"path": ".", "use": [], "reader": reader, "label_map": label_map})


def test_without_a_map_labels_are_learnt_as_they_are() -> None:
    assert label_map_of(corpus(None)) is None
    assert map_files(corpus(None)) == []


def test_a_map_can_be_spelt_out() -> None:
    assert label_map_of(corpus({"ANG": "angry", "DIS": None})) == {"ANG": "angry", "DIS": None}


def test_a_map_can_be_a_file_which_is_then_an_input(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("ANG: angry\nDIS: null\n")
    assert label_map_of(corpus(str(file))) == {"ANG": "angry", "DIS": None}
    assert map_files(corpus(str(file))) == [str(file)]
    assert map_files(corpus("two")) == []


def test_a_map_can_be_one_that_is_shipped(monkeypatch) -> None:
    monkeypatch.setattr(label_maps, "shipped_maps", lambda: FEELINGS)
    assert label_map_of(corpus("two", "ravdess")) == {"angry": "bad"}
    with pytest.raises(UserError, match="'tow'; expected one of one, two; did you mean 'two'"):
        shipped_map("tow", "ravdess")
    with pytest.raises(UserError, match=r"'one' is made for ravdess, not .* 'crema_d'; maps for .* are two"):
        shipped_map("one", "crema_d")
    with pytest.raises(UserError, match=r"'two' is made for crema_d, ravdess, .* no map for 'grid' comes with it"):
        shipped_map("two", "grid")


def test_every_shipped_map_is_for_readers_that_exist_and_gives_at_least_two_classes() -> None:
    maps = shipped_maps()
    assert maps
    for readers in maps.values():
        assert set(readers) <= set(READERS)
        for labels in readers.values():
            assert len({new for new in labels.values() if new is not None}) >= 2


def test_readers_that_share_a_shipped_map_share_most_classes() -> None:
    for name, readers in shipped_maps().items():
        classes = [{new for new in labels.values() if new} for labels in readers.values()]
        assert set.intersection(*classes), f"{name}: no class is common to {sorted(readers)}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[a, b]", "a map of labels is expected"),
        ("", "a map of labels is expected"),
        ("01: calm", "1: 'calm'; text is expected, .*: put it in quotes"),
        ("a: no", "'a': False; text is expected"),
        ("a: ''", "text is expected"),
        ("a: null", "every label is null"),
        ("a: [", "not YAML"),
    ],
)
def test_a_file_that_is_no_map_is_told_so(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=words):
        label_map_of(corpus(str(file)))


def test_a_file_that_is_not_there_is_told_so(tmp_path) -> None:
    with pytest.raises(UserError, match=r"mine.yaml: cannot be read .* correct corpora.NAME.label_map"):
        label_map_of(corpus(str(tmp_path / "mine.yaml")))


def test_labels_that_the_map_forgets_are_named_up_to_ten() -> None:
    check_complete(["a"], {"a": None})
    with pytest.raises(UserError, match="no word on 'b', 'c'; the map has a: add what each is learnt as"):
        check_complete(["c", "a", "b"], {"a": "x"})
    with pytest.raises(UserError, match="'l08', 'l09' and 5 more;"):
        check_complete([f"l{number:02d}" for number in range(15)], {"a": "x"})


def test_a_checked_map_is_returned_as_it_is() -> None:
    assert checked({"a": "x", "b": None}, "here") == {"a": "x", "b": None}
