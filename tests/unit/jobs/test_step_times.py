"""Times of the steps of a refresh."""

from pipeline.jobs.refresh.step_times import measure_steps, step


def test_steps_are_collected_by_name_and_only_inside() -> None:
    with step("before"):
        pass
    with measure_steps() as seconds:
        for _ in range(2):
            with step("outer"), step("inner"):
                sum(range(300_000))
    with step("after"):
        pass
    assert list(seconds) == ["inner", "outer"]
    assert 0 < seconds["inner"] <= seconds["outer"]
