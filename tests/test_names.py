"""Names in one Unicode form; which are nearly equal."""

import unicodedata

import pytest

from avpretext.names import alike, key, nfc, on_disk


@pytest.mark.parametrize("other", [
    "jörg m", "JÖRG M", " Jörg  M ", "Jörg\u00a0M",
    "Jo\u0308rg M", "Jörg\u200b M", "\uff2aörg M", "JörgM", "Jörg\u2009M",
])  # fmt: skip
def test_what_only_looks_different_is_alike(other):
    assert alike(["Jörg M", other, None]) == [tuple(sorted(["Jörg M", other]))]


@pytest.mark.parametrize(
    ("one", "other"), [("Bob", "Bobby"), ("S1", "S2"), ("S1-1", "S11"), ("Jörg", "Jorg"), ("1", "10")]
)
def test_people_with_other_names_are_others(one, other):
    assert alike([one, other]) == []


def test_numbers_are_alike_whatever_program_held_them():
    assert len({key(number) for number in ("1", "1.0", "01", "001", "1.00")}) == 1
    assert key("0") == key("00") != key("10")


def test_a_file_is_found_in_whatever_form_the_disk_spells_it(tmp_path):
    folder = unicodedata.normalize("NFD", "Jörg")
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "é.wav").write_bytes(b"x")
    assert on_disk(tmp_path, nfc("Jörg/é.wav")) == f"{folder}/é.wav"
    assert on_disk(tmp_path, "Jörg/e.wav") is None
    assert on_disk(tmp_path, "absent/e.wav") is None
