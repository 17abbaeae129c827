"""A plugin of pytest for the runs on mutants: the first failure is enough, and stays as it is."""

from hypothesis import Phase, settings

settings.register_profile(
    "mutation",
    phases=(Phase.explicit, Phase.generate),
    database=None,
    max_examples=50,
    report_multiple_bugs=False,
)
# At once, and not with --hypothesis-profile: state machines take their settings on import.
settings.load_profile("mutation")
