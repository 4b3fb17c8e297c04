"""Options of the pseudo-labels."""

from typing import Annotated, Literal

from pydantic import Field

from avpretext.options.base import Fraction, Location, Options


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
        None, description="YAML file of action units per emotion; null: the shipped one"
    )
    upper_quantile: Fraction = Field(0.75, description="quantile over the frames of a clip, for brows, eyes and nose")
    mouth_quantile: Fraction = Field(0.5, description="the same for the mouth, which speech moves too")
    min_coverage: Fraction = Field(
        0.5, description="clips with a face in a smaller share of frames are `unmeasured`, 0..1"
    )
    neutral_below: Fraction = Field(0.3, description="clips without emotion are neutral if no AU is stronger, 0..1")
    min_score: Fraction = Field(0.15, description="clips whose best emotion scores lower are `none`, 0..1")
    min_margin: Fraction = Field(0.02, description="clips whose best two emotions are closer are `ambiguous`, 0..1")


class LabelOptions(Options):
    """The three sets of pseudo-labels."""

    energy: EnergyLabelOptions = EnergyLabelOptions()
    activation: ActivationLabelOptions = ActivationLabelOptions()
    emotion: EmotionLabelOptions = EmotionLabelOptions()
