"""Corpora by name: which files are clips, who speaks, and what the corpus knows of each."""

from avpretext.corpora.reader import Clip, Reader
from avpretext.corpora.readers import READERS, published_of, reader_of
from avpretext.corpora.scan import ClipFile, find, fingerprints, left_out, media_files, scan
from avpretext.corpora.settings import Setting, check_before_run, settings_of, target_name, targets_of
