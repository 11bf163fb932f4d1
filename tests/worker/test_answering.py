"""What the processes that `producer` starts answer, whatever their libraries print."""

from worker.standalone.answering import answer, only_answers


def test_what_a_library_prints_is_no_answer(capfd):
    with only_answers():
        print("a library has something to say")  # noqa: T201 - as libraries do
        answer({"did": "loaded demo"})
    answer({"batch_s": 1.5})
    said = capfd.readouterr()
    assert said.out == '{"did": "loaded demo"}\n{"batch_s": 1.5}\n'
    assert said.err == "a library has something to say\n"
