"""Which clip is meant, and what is said where none is."""

import pytest

from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.inspect.find import locate


@pytest.mark.parametrize("name", ["films/ann/film", "{path}/ann/film.mp4"])
def test_a_clip_is_found_by_corpus_and_clip_id_and_by_its_file(run: Config, name: str) -> None:
    place = locate(run, name.format(path=run.corpora["films"].path), "films")
    assert (place.corpus, place.clip_id) == ("films", "ann/film")
    assert place.row["speaker"] == "ann"
    assert place.refusals == []


def test_a_clip_of_two_corpora_must_be_told_apart(run: Config) -> None:
    with pytest.raises(UserError, match=r"'ann/film' is a clip of films and of sounds: say which, e.g. --corpus films"):
        locate(run, "ann/film")
    assert locate(run, "ann/film", "sounds").corpus == "sounds"
    assert locate(run, "films/ann/film").corpus == "films"


def test_a_file_of_several_clips_must_be_told_which(run: Config) -> None:
    with pytest.raises(UserError, match=r"'ann/film.mp4' is the file of 2 clips of cuts: name one, e.g. "):
        locate(run, "ann/film.mp4", "cuts")


def test_a_name_that_no_clip_bears_is_answered_by_the_nearest(run: Config) -> None:
    with pytest.raises(UserError, match=r"no clip 'ann/flim' in films \(2 clips\); the nearest: ann/film"):
        locate(run, "ann/flim", "films")


def test_a_refused_file_is_found_with_stage_and_reason(run: Config) -> None:
    place = locate(run, "ann/empty", "films")
    assert not place.row
    assert [(entry["stage"], entry["reason"]) for entry in place.refusals] == [("index", "empty_file")]


def test_a_run_that_has_not_begun_is_said_so(run: Config) -> None:
    fresh = run.model_copy(update={"results": run.results + "-none"})
    with pytest.raises(UserError, match=r"no clips of films, cuts, sounds are listed there yet: run the workflow"):
        locate(fresh, "ann/film")


def test_an_unknown_corpus_is_named(run: Config) -> None:
    with pytest.raises(UserError, match=r"no corpus 'film' in the configuration; did you mean 'films'"):
        locate(run, "ann/film", "film")
