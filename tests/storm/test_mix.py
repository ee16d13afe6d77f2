from __future__ import annotations

from collections import Counter

from tests.storm import mix

JOBS = [mix.job(7, number) for number in range(4000)]


def test_the_same_seed_gives_the_same_load() -> None:
    assert [mix.job(7, number) for number in range(50)] == JOBS[:50]
    assert [mix.job(8, number) for number in range(50)] != JOBS[:50]


def test_the_parts_are_as_asked() -> None:
    counts = Counter(job.kind for job in JOBS)
    found = {kind: 100 * counts[kind] / len(JOBS) for kind in mix.SHARES}
    assert max(abs(found[kind] - share) for kind, share in mix.SHARES.items()) < 2
    assert {job.how for job in JOBS if job.kind == "odd"} == set(mix.ODD)
    assert {job.how for job in JOBS if job.kind == "graph"} == set(mix.GRAPHS)
    assert {job.how for job in JOBS if job.kind == "object"} == set(mix.OBJECTS)


def test_times_and_sizes_stay_in_their_bounds_and_reach_far() -> None:
    seconds = [job.seconds for job in JOBS if job.kind == "task"]
    assert mix.SHORTEST_SECONDS <= min(seconds) < 0.002
    assert 0.045 < max(seconds) <= mix.LONGEST_SECONDS
    sizes = [job.size for job in JOBS if job.kind == "object"]
    assert min(sizes) >= mix.SMALLEST_BYTES
    assert 16 << 20 < max(sizes) <= mix.LARGEST_BYTES


def test_no_two_tasks_share_a_number() -> None:
    ids = [node for job in JOBS for node in mix.nodes(job)]
    assert len(ids) == len(set(ids))
    assert all(job.nodes <= mix.MOST_NODES for job in JOBS)
    assert all(mix.job_of(node) == job.number for job in JOBS for node in mix.nodes(job))


def test_every_job_has_an_answer_of_its_own_or_is_to_fail() -> None:
    answers = [mix.answer(7, job) for job in JOBS]
    failing = [job.how for job, answer in zip(JOBS, answers, strict=True) if answer is None]
    assert set(failing) == {"raises", "unpicklable_result", "unpicklable_error", "cancelled"}
    given = [answer for answer in answers if answer is not None]
    assert len(set(given)) == len(given)
