import re

from inference.codecs.call_id import fitting

TAKEN = re.compile(r"[a-zA-Z0-9_-]+")


def test_what_is_taken_stays_and_anything_else_is_the_same_each_time() -> None:
    assert fitting("toolu_01-a", TAKEN) == "toolu_01-a"
    odd = ["functions.get_weather:0", "functions.get_weather:1", "", "ü"]
    made = [fitting(each, TAKEN) for each in odd]
    assert made == [fitting(each, TAKEN) for each in odd]
    assert len(set(made)) == len(odd)
    assert all(TAKEN.fullmatch(each) for each in made)
