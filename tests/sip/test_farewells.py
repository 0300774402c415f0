"""No goodbye is cut off. The long form: python -m benchmarks.farewells."""

from benchmarks import farewells


async def test_every_farewell_is_heard_to_its_end():
    figures = await farewells.measure(6)
    assert figures["failed"] == 0
    assert figures["calls"] == figures["heard_to_the_end"] == 6
    assert figures["longest_s"] < figures["expected_s"] + 0.1, "something was said twice"
