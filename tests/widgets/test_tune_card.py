from __future__ import annotations

import re

from nbray.tune.view import View
from nbray.widgets import tune_card
from nbray.widgets.learning_curves import lines_of
from nbray.widgets.picture import picture_of
from nbray.widgets.styles import GREEN, RED
from nbray.widgets.trials_table import KEPT
from nbray.wording import NO_MATHEMATICS
from tests.widgets.sample import Story, halving, single_reports


def html_of(view: View) -> str:
    return tune_card.static_html(picture_of("digits", view))


def test_a_saved_card_needs_no_script_and_nothing_from_outside() -> None:
    html = html_of(halving(running=3))
    assert "<script" not in html
    assert "<button" not in html
    assert set(re.findall('class="([^"]*)"', html)) <= {*KEPT, NO_MATHEMATICS}
    assert set(re.findall(r'(?:src|href)="([a-z]+:[a-z/+]+)', html)) == {"data:image/svg+xml"}


def test_a_saved_card_names_colours_and_no_variables_of_a_page() -> None:
    html = html_of(halving(running=3))
    assert "color:#1976d2" in html
    assert set(re.findall(r"var\(--[\w-]+", html)) == {"var(--jp-ui-font-family"}


def test_a_saved_card_is_small() -> None:
    assert len(html_of(halving(40))) < 48_000
    assert len(html_of(single_reports(1000))) < 64_000


def test_text_of_trials_stays_text() -> None:
    story = Story("<i>score</i>")
    for value in (1, 2):
        story.report(story.begin({"<b>x</b>": f"<u>{value}</u>"}), value)
    html = tune_card.static_html(picture_of("<s>name</s>", story.view))
    assert not re.search("<[bius]>", html)
    assert "&lt;u&gt;2&lt;/u&gt;" in html


def test_parallel_coordinates_come_at_the_end_where_there_are_rungs() -> None:
    assert html_of(halving(running=3)).count("<img") == 2
    assert html_of(halving()).count("<img") == 3
    assert html_of(single_reports()).count("<img") == 2


def test_the_page_draws_the_curves_once_it_can() -> None:
    picture = picture_of("e", halving())
    drawn = [
        tune_card.sections(picture, lines_of(picture), drawn_live=live)["figures"].children[0] for live in (False, True)
    ]
    assert [len(figure.children[1].children) for figure in drawn] == [1, 0]  # type: ignore[union-attr]


def test_states() -> None:
    assert "Running" in html_of(halving(running=3))
    assert "Done" in html_of(halving())
    assert tune_card.color(picture_of("e", halving())) == GREEN
    story = Story()
    story.fail(story.begin({}), "boom")
    assert tune_card.color(picture_of("e", story.close())) == RED
    story = Story()
    story.begin({})
    assert "Stopped" in html_of(story.close("interrupted"))
    assert "Detached" in tune_card.static_html(picture_of("e", halving(running=2), left="the controller is gone"))


def test_the_text_says_the_same() -> None:
    said = tune_card.text(picture_of("digits", single_reports()))
    assert said.startswith("nbray: digits done, 40 trials, 2 failed, 15.6 s\n")
    assert re.search(r"\n  best: mean_accuracy 0.97\d+, trial \d+: n_estimators=200 ", said)


def test_an_experiment_without_trials_has_a_card() -> None:
    assert "Waiting" in html_of(Story().view)
    assert tune_card.text(picture_of("e", Story().view)) == "nbray: e waiting, 0 trials, 0 ms"


def test_what_it_had_to_say_is_said() -> None:
    assert "2 CPUs run 2 at a time" in html_of(single_reports())
