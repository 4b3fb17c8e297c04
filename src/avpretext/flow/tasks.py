"""The pretext tasks, a row each: what is asked of which part of a clip, by which options, and how it is shown.

Adding a task: a module that writes its labels, a row in `TASKS`, and a rule `labels_NAME` (docs/extending.md). The
stage `labels_NAME` (`flow.artefacts`), the group `labels.NAME` of the configuration, the sets of tasks, heads, losses,
tables, charts and exports follow from the row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from avpretext.flow.columns import Column, D, S
from avpretext.options.base import Fraction, Location, Options

Unit = Literal["chunk", "clip"]


class ThresholdOptions(Options):
    """Threshold between high and low values."""

    quantile: Fraction = Field(0.5, description="values above this quantile are high, 0..1")
    scope: Literal["corpus", "speaker", "clip"] = Field("corpus", description="the quantile is taken over this scope")
    dead_zone: Fraction = Field(0.0, description="share of values around the threshold without label, 0..1")


class EnergyLabelOptions(ThresholdOptions):
    """Task 1: is the energy variation of a chunk high?"""

    measure: Literal["deviation", "mean"] = Field(
        "deviation", description="statistic of the frame energy in dB over the chunk"
    )
    floor_db: float = Field(-60.0, le=0, description="lower limit of the frame energy, in dB below full scale")


class ActivationLabelOptions(ThresholdOptions):
    """Task 2: is the face active in a chunk?"""

    region: Literal["face", "brows", "eyes", "mouth", "jaw"] = Field("face", description="region whose motion counts")
    min_coverage: Fraction = Field(
        0.5, description="chunks with a face in a smaller share of frames are not measured, 0..1"
    )


class EmotionLabelOptions(Options):
    """Task 3: which emotion do the action units of a clip show?"""

    table: Annotated[str | None, Location()] = Field(
        None,
        description="what shows which emotion; null: the shipped six classes; eight: with surprise and contempt; or a"
        " YAML file, your own or written by `avpretext fit-emotions`",
    )
    upper_quantile: Fraction = Field(0.75, description="quantile over the frames of a clip, for brows, eyes and nose")
    mouth_quantile: Fraction = Field(0.6, description="the same for the mouth, which speech moves too")
    min_coverage: Fraction = Field(
        0.5, description="clips with a face in a smaller share of frames are `unmeasured`, 0..1"
    )
    min_confidence: Fraction = Field(0.0, description="clips whose best class is less probable are `none`, 0..1")
    min_margin: Fraction = Field(
        0.02, description="clips whose best two classes are closer in probability are `ambiguous`, 0..1"
    )


@dataclass(frozen=True)
class Task:
    """One pretext task.

    Attributes
    ----------
    name
        As in names of sets of tasks, such as `energy-emotion`.
    title
        Of its charts and lanes.
    unit
        What is labelled: each chunk, high or low, or the whole clip, one class of several.
    colour
        Of its marks in charts, on a light and on a dark page.
    module
        Where the function `run` of its stage `labels_NAME` is; empty: pre-training makes the labels itself.
    version
        Of that stage: raised whenever its output would change for the same input.
    summary
        What the stage does, in a sentence.
    options
        Its group `labels.NAME` of the configuration.
    face
        True: it needs video, and its labels no sound. False: it needs sound, and no video.
    value
        What its stage measures, and the unit.
    measures
        Title of the axis of that value by the option `measure`, or one under the empty name.
    columns
        Further columns of its labels.
    truth
        Column of the demo's known truth that its value should follow; empty: none.
    """

    name: str
    title: str
    unit: Unit
    colour: tuple[str, str]
    module: str = ""
    version: int = 1
    summary: str = ""
    options: type[Options] | None = None
    face: bool = True
    value: tuple[str, str] = ("", "")
    measures: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Column] = field(default_factory=dict)
    truth: str = ""

    @property
    def stage(self) -> str:
        """The stage that writes its labels."""
        return f"labels_{self.name}"

    @property
    def labelled(self) -> bool:
        """Whether a stage writes its labels."""
        return bool(self.module)


TASKS = {
    task.name: task
    for task in (
        Task(
            "energy",
            "Energy",
            "chunk",
            ("#a2600a", "#dfa044"),
            module="avpretext.labels.energy",
            summary="Task 1: label chunks by their variation of vocal energy.",
            options=EnergyLabelOptions,
            face=False,
            value=("deviation (or mean) of the frame energy over the chunk", "dB"),
            measures={
                "deviation": "Deviation of the energy over the chunk, dB",
                "mean": "Mean energy over the chunk, dB",
            },
            truth="vocal_energy",
        ),
        Task(
            "activation",
            "Activation",
            "chunk",
            ("#0d7a63", "#46b99d"),
            module="avpretext.labels.activation",
            summary="Task 2: label chunks by facial activation.",
            options=ActivationLabelOptions,
            value=(
                "mean speed of the region over the chunk; null: the face was not seen for long enough",
                "eye distances per second",
            ),
            measures={"": "Mean speed of the {region}, inter-ocular distances/s"},
            truth="facial_activation",
        ),
        Task(
            "emotion",
            "Emotion",
            "clip",
            ("#6a4bbf", "#a48bef"),
            module="avpretext.labels.emotion",
            version=3,
            summary="Task 3: label clips by the emotion that their action units show.",
            options=EmotionLabelOptions,
            value=("probability of the best class", "0..1"),
            columns={
                "rest": Column(
                    S,
                    "what the resting face rests on: speaker, neutral clips, clip; null: on none of the corpus",
                ),
                "rest_s": Column(D, "how long that face was seen", "s"),
                "rest_trust": Column(D, "weight of the person's own face beside that of people", "0..1"),
            },
        ),
        Task("clusters", "Clusters", "chunk", ("#a8326b", "#e07fb0"), face=False),
    )
}
"""Every pretext task by its name, in the order in which sets of them are named."""

LABELLED = {name: task for name, task in TASKS.items() if task.labelled}
"""The tasks whose labels a stage writes."""

CHUNK_TASKS = tuple(name for name, task in LABELLED.items() if task.unit == "chunk")
"""The labelled tasks that ask of each chunk: high or low?"""

CLIP_TASKS = tuple(name for name, task in LABELLED.items() if task.unit == "clip")
"""The labelled tasks that ask of each clip: which class?"""

CLUSTERS = "clusters"
"""The task whose labels are the k-means clusters of the chunks, made anew in each epoch of pre-training."""
