"""Slots stay dense, prompts are computed once, and every sample runs exactly once."""

import random

import pytest

from dunwu.rollout.scheduler import Move, Placement, Round, Sample, Scheduler


def test_all_samples_fit():
    scheduler = Scheduler([2, 1], num_slots=8)
    assert scheduler.next_round() == Round(
        (
            Placement(0, Sample(0, 0), 0, True),
            Placement(1, Sample(0, 1), 0, False),
            Placement(2, Sample(1, 0), 1, True),
        ),
        (),
    )
    assert scheduler.running == (Sample(0, 0), Sample(0, 1), Sample(1, 0))
    assert scheduler.places == [0, 0, 1]
    assert (scheduler.num_running, scheduler.num_waiting, scheduler.num_places) == (3, 0, 2)


def test_a_prompt_stays_while_samples_of_it_wait():
    scheduler = Scheduler([1, 3], num_slots=2)
    scheduler.next_round()
    assert scheduler.running == (Sample(0, 0), Sample(1, 0))
    assert scheduler.awaits_more_of(1)
    assert not scheduler.awaits_more_of(0)
    assert scheduler.next_round([1]) == Round((Placement(1, Sample(1, 1), 1, False),), ())
    assert scheduler.next_round([0, 1]) == Round((Placement(0, Sample(1, 2), 1, False),), ())
    assert not scheduler.awaits_more_of(1)


def test_a_free_place_is_used_again():
    scheduler = Scheduler([1, 1, 1, 1], num_slots=2)
    scheduler.next_round()
    assert scheduler.next_round([0]) == Round((Placement(0, Sample(2, 0), 0, True),), ())
    assert scheduler.next_round([1]) == Round((Placement(1, Sample(3, 0), 1, True),), ())
    assert scheduler.num_places == 2


def test_requests_without_samples_need_no_place():
    scheduler = Scheduler([0, 2, 0], num_slots=4)
    assert scheduler.num_places == 1
    assert [p.sample for p in scheduler.next_round().placements] == [Sample(1, 0), Sample(1, 1)]


def test_gaps_are_closed_from_the_end():
    scheduler = Scheduler([1] * 6, num_slots=6)
    scheduler.next_round()
    assert scheduler.next_round([1, 2, 5]) == Round((), (Move(4, 1), Move(3, 2)))
    assert scheduler.running == (Sample(0, 0), Sample(4, 0), Sample(3, 0))
    assert scheduler.next_round([2]) == Round((), ())
    assert scheduler.num_running == 2


def test_no_slot_is_an_error():
    with pytest.raises(ValueError, match="num_slots is 0"):
        Scheduler([1], 0)


def test_a_slot_that_does_not_run_cannot_finish():
    scheduler = Scheduler([1], 2)
    scheduler.next_round()
    with pytest.raises(AssertionError, match="are not all running"):
        scheduler.next_round([1])


@pytest.mark.parametrize("seed", range(30))
def test_random_histories(seed):
    """Play random finishes against a model of what slots and places hold."""
    rng = random.Random(seed)
    counts = [rng.randint(0, 6) for _ in range(rng.randint(1, 8))]
    scheduler = Scheduler(counts, num_slots=rng.randint(1, 7))
    slots: dict[int, Sample] = {}
    prompts: dict[int, int] = {}
    computed: list[int] = []
    done: list[Sample] = []
    finished: list[int] = []
    while True:
        assert sum(scheduler.awaits_more_of(request) for request in range(len(counts))) <= 1
        plan = scheduler.next_round(finished)
        done += [slots.pop(slot) for slot in finished]
        for placement in plan.placements:
            assert placement.slot not in slots
            slots[placement.slot] = placement.sample
            request = placement.sample.request
            if placement.new:
                in_use = {prompts_of.request for prompts_of in slots.values()} - {request}
                assert prompts.get(placement.place) not in in_use, "a prompt in use is overwritten"
                computed.append(request)
                prompts[placement.place] = request
            assert prompts[placement.place] == request
            assert placement.place < scheduler.num_places
        placed = {placement.slot for placement in plan.placements}
        for move in plan.moves:
            assert move.source not in placed
            assert move.target not in slots
            slots[move.target] = slots.pop(move.source)
        assert sorted(slots) == list(range(len(slots))), "running samples leave gaps"
        assert scheduler.running == tuple(slots[slot] for slot in range(len(slots)))
        assert [prompts[place] for place in scheduler.places] == [
            sample.request for sample in scheduler.running
        ]
        if not slots:
            break
        finished = [slot for slot in slots if rng.random() < 0.4]
    expected = [Sample(request, index) for request, count in enumerate(counts) for index in range(count)]
    assert sorted(done) == expected
    assert sorted(computed) == [request for request, count in enumerate(counts) if count], "once each"
