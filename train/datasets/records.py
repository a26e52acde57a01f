"""What a reader of a data set returns: one `Record` an image."""

from dataclasses import dataclass
from pathlib import Path

# Photographs once more, without their colour and as either modality: the first look says which row is the app's.
GREY = "grey_photograph"
# Splits whose images train nothing and calibrate nothing.
REPORTED = ("test", "external", "pediatric", "lateral", "photograph", GREY)
# Val rows with lesions, or healthy lungs, that were not theirs; see `train.transplant`.
TRANSPLANTED = "transplanted_val"
# The test images once more, with the lungs blacked out; see `train.protocols`.
BLACKED = "lungs_blacked_out"
FINDINGS = ("covid", "normal", "pneumonia", "tuberculosis", "non_covid", "")


@dataclass(frozen=True)
class Record:
    """One image with what is known about it.

    Attributes:
        image: file.
        modality: "xray" or "ct".
        dataset: name of the reader.
        source: hospital, archive or website the image comes from; what a network must not learn in place of the disease.
        group: images of one group (a patient, or near-copies of each other) never go to two parts.
        split: "train", "val", "test", "external", ...; "" where the data set has none.
        finding: one of `FINDINGS`, "" where it is not known.
        lungs: mask file, or None where the lungs are not marked.
        lesions: mask file, or None.
        kinds: file of the lesions' kinds, 1 ground glass and 2 consolidation, or None.
        lesions_known: whether somebody looked for lesions; then `lesions` is None where there is none.
        transposed: True when image and masks are stored with rows and columns exchanged.
        official_split: the split the literature reports on; "" where it has none.
    """

    image: Path
    modality: str
    dataset: str
    source: str
    group: str
    split: str = ""
    finding: str = ""
    lungs: Path | None = None
    lesions: Path | None = None
    kinds: Path | None = None
    lesions_known: bool = False
    transposed: bool = False
    official_split: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for another finding, as "COVID" would train as no COVID-19, and for lesions nobody looked for."""
        if self.finding not in FINDINGS:
            known = ", ".join(FINDINGS[:-1])
            raise ValueError(
                f"{self.image}: there is no finding '{self.finding}'. Use one of: {known}; or leave it empty."
            )
        if self.lesions is not None and not self.lesions_known:
            raise ValueError(f"{self.image}: where lesions are marked, lesions_known must be True.")

    @property
    def covid(self) -> int | None:
        """1 for COVID-19, 0 for everything else, None where the finding is not known."""
        return None if not self.finding else int(self.finding == "covid")
