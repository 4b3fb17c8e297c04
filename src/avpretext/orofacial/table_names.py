"""Names of the orofacial measures and tables: apart, since the workflow reads them each time it starts."""

REST = "rest"
"""What stands beside the systems: a face that stays at rest."""

COMPARED = ("ccc_all", "error_all", "speed_error_all", "aperture_r", "viseme_uar", "emotion_uar")
"""Measures on which systems are tested against each other."""

SHOWN = (
    "ccc_lips", "ccc_jaw", "ccc_cheeks", "error_lips", "error_jaw", "error_cheeks", "speed_error_all", "aperture_r",
    "aperture_r_pooled", "viseme_uar", "emotion_uar",
)  # fmt: skip
"""Measures of the printed table."""

MEASURE_NAMES = {
    "ccc_all": "CCC, all", "ccc_lips": "CCC, lips", "ccc_jaw": "CCC, jaw", "ccc_cheeks": "CCC, cheeks",
    "error_all": "error, all", "error_lips": "error, lips", "error_jaw": "error, jaw", "error_cheeks": "error, cheeks",
    "speed_error_all": "velocity error", "speed_error_lips": "velocity error, lips",
    "speed_error_jaw": "velocity error, jaw", "speed_error_cheeks": "velocity error, cheeks",
    "aperture_r": "lip aperture r", "aperture_r_pooled": "lip aperture r, pooled", "viseme_uar": "viseme UAR",
    "emotion_uar": "emotion UAR",
}  # fmt: skip
"""The measures as people read them."""

TABLES = ("orofacial.csv", "orofacial.md", "orofacial_comparisons.csv", "orofacial_left_out.csv")
