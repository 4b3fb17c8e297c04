"""Options of speech that moves a face: what is learnt, from what, by which network, on which folds."""

from typing import Annotated, Literal

from pydantic import Field

from avpretext.options.base import Count, Location, Options, Place, Positive
from avpretext.options.training import LoopOptions
from avpretext.systems import OROFACIAL_SYSTEMS, OrofacialSystem


class OrofacialModelOptions(Options):
    """Sizes of the orofacial networks, the same for all systems."""

    width: int = Field(64, ge=2, multiple_of=2, description="output size of the trunk per frame")
    layers: Count = Field(1, description="layers of the trunk, a bidirectional LSTM")
    helper_width: Count = Field(32, description="size of the viseme and emotion representations")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout after the trunk and in the helper heads, 0..1")


class OrofacialWeights(Options):
    """Weight of each task in the loss; 0: no helper task."""

    movement: Positive = Field(1.0, description="weight of the movement of lips, jaw and cheeks")
    viseme: float = Field(0.3, ge=0, description="weight of the viseme of each frame; 0: off, and no phones are needed")
    emotion: float = Field(0.1, ge=0, description="weight of the emotion of the clip; 0: off")


class OrofacialOptions(LoopOptions):
    """Lips, jaw and cheeks predicted from speech: `snakemake orofacial`."""

    corpora: list[str] = Field(
        [], description="corpora trained and tested together; []: all with `use: [pretrain]` and video"
    )
    systems: list[OrofacialSystem] = Field(
        list(OROFACIAL_SYSTEMS),
        description="single: a network per task; joint: one trunk for all tasks; cascade: movement from the viseme"
        " and emotion layers too",
        min_length=1,
    )
    features: list[str] = Field(["speech"], description="per-frame input features", min_length=1)
    channels: list[str] = Field(["*"], description="input columns; * matches anything")
    context: int = Field(
        0, ge=0, le=50, description="10 ms input frames on each side of a video frame; 0: the mean over the video frame"
    )
    components: int = Field(
        8, ge=0, le=122, description="principal components of the movement to learn; 0: all coordinates"
    )
    loss: Literal["mse", "ccc", "both"] = Field(
        "mse", description="loss of the movement: mean squared error; 1 - CCC; or their sum"
    )
    emotion: Literal["pseudo", "labels"] = Field(
        "pseudo", description="pseudo: labels_emotion; labels: the first target of corpora used for finetune"
    )
    weights: OrofacialWeights = OrofacialWeights()
    model: OrofacialModelOptions = OrofacialModelOptions()
    checkpoint: Annotated[str | None, Location()] = Field(
        None, description="checkpoint of `pretrain` for the trunk, encoder blstm; null: from scratch"
    )
    protocol: Literal["speaker_kfold", "leave_one_speaker_out", "leave_one_clip_out"] = Field(
        "speaker_kfold",
        description="test split; leave_one_clip_out has the test speaker in training, and the tables state it",
    )
    folds: int = Field(4, ge=2, description="speaker_kfold: number of folds")
    dev_speakers: Count = Field(2, description="number of training speakers, drawn by seed, that choose the epoch")
    seeds: Count = Field(1, description="runs per fold")
    threads: Annotated[Count, Place()] = Field(
        1, description="parallel runs of a job, each on one CPU core; same bytes for any number"
    )
    piece_s: Positive = Field(20.0, description="longer clips are cut into pieces of this length, in seconds")
    films: int = Field(2, ge=0, description="number of test clips filmed beside their prediction")
    film_system: OrofacialSystem = Field("cascade", description="system of the films and the page")
    epochs: Count = Field(25, description="maximum number of passes over the training clips")
    patience: Count = Field(8, description="training stops after this many epochs without a better dev score")
    batch_size: Count = Field(16, description="clips per step")
    mixup: float = Field(0.0, ge=0, description="augmentation: clips are mixed in pairs, by Beta(mixup, mixup); 0: off")
    time_mask: float = Field(0.1, ge=0, lt=1, description="augmentation: longest stretch of a clip silenced, 0..1")
    noise: float = Field(0.2, ge=0, description="augmentation: noise on every value, in deviations")

    @property
    def shown_system(self) -> OrofacialSystem:
        """The system of examples and of the printed command: that of the films, if it is trained."""
        return self.film_system if self.film_system in self.systems else self.systems[0]
