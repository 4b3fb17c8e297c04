"""Options of py-feat's detectors; its environment, its weights, its models."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from avpretext.options.base import Count, Options, Place


class PyFeatOptions(Options):
    """py-feat 2.1.5, run in its own environment.

    The models named are all that its detectors know: `Detectorv2.SUPPORTED_MODELS`, `Detectorv1.SUPPORTED_MODELS`.
    """

    python: Annotated[str, Place()] = Field(
        ".venv-pyfeat/bin/python", description="Python of py-feat's environment (`make pyfeat`)"
    )
    weights: Annotated[str | None, Place()] = Field(
        None,
        description="folder of py-feat's weights, filled once by `avpretext models --pyfeat`; null: the hub's cache",
    )
    detector: Literal["v1", "v2"] = Field(
        "v2", description="v2: one network for all; v1: landmarks, then a classifier per action unit"
    )
    face_model: Literal["retinaface", "img2pose"] = Field("retinaface", description="finds faces; img2pose: v1 only")
    landmark_model: Literal["mobilefacenet", "mobilenet", "pfld"] = Field("mobilefacenet", description="v1 only")
    au_model: Literal["xgb", "svm"] = Field("xgb", description="v1 only; xgb: probabilities; svm: yes or no per unit")
    batch_size: Count = Field(16, description="frames per batch")
    device: Annotated[Literal["cpu", "cuda", "mps", "auto"], Place()] = Field(
        "auto", description="auto: a GPU if there is one"
    )

    @model_validator(mode="after")
    def _detector_knows_the_face_model(self) -> Self:
        if self.detector == "v2" and self.face_model != "retinaface":
            raise ValueError(
                f"action_units.pyfeat.face_model = '{self.face_model}': detector v2 has only retinaface; set"
                " detector to v1, or face_model to retinaface"
            )
        return self
