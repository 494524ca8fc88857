"""pip's warnings about known stale pins are removed from its output, and nothing else is."""

from pufferlib.installation import plan, requirements_of, without_stale_notices

NOTICE = (
    "ERROR: pip's dependency resolver does not currently take into account all the packages that "
    "are installed. This behaviour is the source of the following dependency conflicts.\n"
)
STALE = "nle 1.3.0 requires gymnasium==1.2.0, but you have gymnasium 1.4.0 which is incompatible.\n"
AS_IT_IS = ["--no-deps", "--ignore-requires-python", "--no-build-isolation"]
OTHER = "foo 1.0 requires bar==2, but you have bar 3 which is incompatible.\n"


def test_a_warning_about_stale_pins_only_is_removed():
    assert without_stale_notices(NOTICE + STALE, {"nle"}) == ""


def test_any_other_warning_is_kept():
    assert without_stale_notices(NOTICE + STALE + OTHER, {"nle"}) == NOTICE + OTHER
    assert without_stale_notices("ERROR: no such package\n", {"nle"}) == "ERROR: no such package\n"


def test_an_extra_is_read_from_the_packages_own_metadata():
    assert requirements_of("nethack") == ["nle>=1.2", "pybind11>=2.2"]
    assert requirements_of("no-such-extra") == []


def test_stale_packages_come_last_and_without_their_requirements():
    assert plan(["nethack", "classic_control"]) == [
        ["pybind11>=2.2", "pygame-ce>=2.5"],
        [*AS_IT_IS, "nle>=1.2"],
    ]
    assert plan(["NetHackScout-v0"]) == [["pybind11>=2.2"], [*AS_IT_IS, "nle>=1.2"]]
    assert plan(["ocean"]) == []
