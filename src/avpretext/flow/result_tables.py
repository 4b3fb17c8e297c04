"""The files of `results/tables` by what is in them; docs/stages.md and `snakemake --report` print that."""

TABLES = {
    "main.csv": "a row per system: of each measure its value, interval (`_low`, `_high`), `_mean` and `_std` over runs,"
    " `_seed_std` over trainings, `_difference` to scratch with interval, its p-value (`_p`) and that after Holm's"
    " correction (`_p_holm`)",
    "main.md": "the same, for people, with published results of the same corpus, target and protocol where there are"
    " any",
    "main.tex": "the same, for a paper",
    "per_class.csv": "a row per system and class: precision, recall, F1 with intervals; of several attributes CCC,"
    " Pearson, RMSE, MAE",
    "seeds.csv": "a row per system, seed and measure: its value on all test clips, and its difference to scratch",
    "significance.csv": "a row per system and measure: difference, interval, p-values",
    "calibration.csv": "a row per system and measure of calibration, with interval",
    "reliability.csv": "a row per system and bin: mean probability, share that came true, forecasts",
    "by_speaker.csv": "a row per system and test speaker: score, sex, clips",
    "speaker_spread.csv": "a row per system: worst and best speaker, deviation over speakers, and that by luck",
    "by_sex.csv": "a row per system and sex, and the difference with its test",
    "raters.csv": "single raters beside each system, by the majority of the other raters, and by the label",
    "rater_confusion.csv": "the confusions of both",
    "conditions.csv": "a row per system and condition: noise, telephone, codec, room, and the difference to clean",
    "folds.csv": "a row per fold and part: clips, and who speaks in them",
    "label_balance.csv": "how often each label of each task and target is given",
    "label_speakers.csv": "how often each label is given to each speaker",
    "label_warnings.csv": "signs that many emotion labels may be wrong, a sentence each",
    "label_agreement.csv": "how far the three tasks agree: counts of pairs of labels, and a measure of it",
    "action_units.csv": "a row per action unit and label: how often it is active, how strong",
    "au_combinations.csv": "which action units are active together, and which labels these clips have",
    "copies.csv": "a row per fold and clip that is left out: the clip of test or dev whose recording it holds too",
    "corpora.csv": "a row per corpus: clips, speakers, hours, copies, clips whose sound is odd, refused",
    "rejects.csv": "a row per corpus, stage and reason: how many clips were refused",
    "rejects_clips.csv": "a row per refused clip: its file, stage, reason, what was seen",
    "provenance.csv": "a row per kind of artefact: stage, versions, options, model files, machine",
    "provenance.json": "the same, nested",
}
"""Of every run."""

TOGETHER_TABLES = {
    "overall.csv": "a row per system and measure, over all corpora that are tested alike",
    "overall.md": "the same, for people",
    "overall.tex": "the same, for a paper",
}
"""Of a run on several labelled corpora."""

COMPARED_TABLES = {"compared_action_units.csv": "a row per corpus and action unit: how far those of another run agree"}
PENALTY_TABLES = {
    "co_occurrence.csv": "a row per fold and pair of emotions: how often raters name both, and the penalty"
}
LAYER_TABLES = {"layer_weights.csv": "a row per system and layer of the encoder: the weight that training gave it"}

TRUTH_TABLES = {
    "truth.csv": "demo: how well each stage measures what is known",
    "truth_action_units.csv": "demo: each action unit against the true one",
    "truth_confidence.csv": "demo: how often emotion labels are right, by their confidence",
}
"""Of a corpus whose truth is known."""

ABLATION_TABLES = {
    "ablation.csv": "a row per system of the grid of initialisation, loss and aggregator: its scores with intervals",
    "ablation.md": "the same, for people",
    "ablation.tex": "the same, for a paper",
    "ablation_effects.csv": "a row per choice and measure: what it changes, all else alike, with its test",
    "ablation_co_occurrence.csv": "a row per fold and pair of emotions: how often raters name both, and the penalty",
}

UPSTREAM_TABLES = {
    "upstreams.csv": "a row per upstream and initialisation: its scores, and its gain over scratch of that upstream",
    "upstreams.md": "the same, for people",
    "upstreams.tex": "the same, for a paper",
    "upstreams_effects.csv": "a row per upstream and measure: its difference to the first upstream, with its test",
}

OROFACIAL_TABLES = {
    "orofacial.csv": "a row per system: each measure of its movements on unseen speakers, with intervals",
    "orofacial.md": "the same, for people",
    "orofacial_comparisons.csv": "a row per pair of systems and measure: difference, interval, test",
    "orofacial_left_out.csv": "a row per clip that is left out, and why",
}

ASKED_FOR = {"ablate": ABLATION_TABLES, "upstreams": UPSTREAM_TABLES, "orofacial_tables": OROFACIAL_TABLES}


def tables_of(stage: str) -> dict[str, str]:
    """Return the tables that a stage writes in one run or another, by what is in them; none of other stages."""
    if stage == "tables":
        return {**TABLES, **TOGETHER_TABLES, **COMPARED_TABLES, **PENALTY_TABLES, **LAYER_TABLES, **TRUTH_TABLES}
    return ASKED_FOR.get(stage, {})
