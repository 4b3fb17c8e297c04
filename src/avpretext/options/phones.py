"""Options of phones and visemes."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from avpretext.options.base import Fraction, Location, Options


class PhoneOptions(Options):
    """Phone intervals and viseme classes, by `snakemake visemes` or if a model needs them."""

    backend: Literal["align", "recognise", "import", "truth"] = Field(
        "align",
        description="align: to the known sentence; recognise: without text; import: files in `imports`; truth:"
        " the demo's",
    )
    dictionary: Annotated[str | None, Location()] = Field(
        None, description="file of additional pronunciations, `word PH O N E S` per line; null: CMUdict only"
    )
    min_confidence: Fraction = Field(
        0.02, description="align: clips with lower confidence are refused, 0..1; real clips have about .1 to .4"
    )
    imports: Annotated[str | None, Location(watched=True, only=(".textgrid", ".ctm", ".align"))] = Field(
        None, description="import: folder of TextGrid, CTM or GRID's .align files with the clips' names"
    )
    visemes: Annotated[str | None, Location()] = Field(
        None, description="YAML file of viseme classes; null: orofacial/visemes.yaml"
    )

    @model_validator(mode="after")
    def _files_to_import_are_named(self) -> Self:
        if self.backend == "import" and self.imports is None:
            raise ValueError(
                "phones.backend = 'import' needs phones.imports: the folder of the TextGrid, CTM or .align"
            )
        return self
