"""Slots stay dense, prompts are computed once, and every sample runs exactly once."""

import random

import pytest

from dunwu.rollout.scheduler import Move, Placement, Round, Sample, Scheduler


def test_all_samples_fit():
    scheduler = Scheduler([2, 1], num_slots=8)
    assert scheduler.next_round() == Round(
        (
            Placement(0, Sample(0, 0), None),
            Placement(1, Sample(0, 1), 0),
            Placement(2, Sample(1, 0), None),
        ),
        (),
    )
    assert scheduler.running == (Sample(0, 0), Sample(0, 1), Sample(1, 0))
    assert (scheduler.num_running, scheduler.num_waiting) == (3, 0)


def test_a_waiting_sample_takes_the_free_slot_that_holds_its_prompt():
    scheduler = Scheduler([1, 4], num_slots=3)
    scheduler.next_round()
    assert scheduler.running == (Sample(0, 0), Sample(1, 0), Sample(1, 1))
    assert scheduler.awaits_more_of(1)
    assert not scheduler.awaits_more_of(0)
    expected = (Placement(2, Sample(1, 2), 2), Placement(0, Sample(1, 3), 1))
    assert scheduler.next_round([0, 2]) == Round(expected, ())
    assert not scheduler.awaits_more_of(1)


def test_with_fewer_waiting_than_free_the_first_slots_are_filled():
    scheduler = Scheduler([1, 3], num_slots=3)
    scheduler.next_round()
    assert scheduler.next_round([0, 2]) == Round((Placement(0, Sample(1, 2), 1),), ())
    assert scheduler.running == (Sample(1, 2), Sample(1, 0))


def test_a_waiting_sample_in_another_slot_copies_its_prompt():
    scheduler = Scheduler([1, 3], num_slots=3)
    scheduler.next_round()
    assert scheduler.next_round([0]) == Round((Placement(0, Sample(1, 2), 1),), ())


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
    """Play random finishes against a model of the slots' contents."""
    rng = random.Random(seed)
    counts = [rng.randint(0, 6) for _ in range(rng.randint(1, 8))]
    scheduler = Scheduler(counts, num_slots=rng.randint(1, 7))
    slots: dict[int, Sample] = {}
    prompts: dict[int, int] = {}
    computed: list[int] = []
    done: list[Sample] = []
    finished: list[int] = []
    while True:
        awaited = [request for request in range(len(counts)) if scheduler.awaits_more_of(request)]
        assert len(awaited) <= 1
        plan = scheduler.next_round(finished)
        held = dict(prompts)
        done += [slots.pop(slot) for slot in finished]
        for placement in plan.placements:
            assert placement.slot not in slots
            slots[placement.slot] = placement.sample
            request = placement.sample.request
            if placement.prompt_from is None:
                computed.append(request)
            elif placement.prompt_from in held and held[placement.prompt_from] == request:
                pass  # copied before anything is overwritten
            else:
                assert prompts[placement.prompt_from] == request, "the source holds another prompt"
                assert request in computed
            prompts[placement.slot] = request
        placed = {placement.slot for placement in plan.placements}
        for move in plan.moves:
            assert move.source not in placed
            assert move.target not in slots
            slots[move.target] = slots.pop(move.source)
            prompts[move.target] = prompts.pop(move.source)
        assert sorted(slots) == list(range(len(slots))), "running samples leave gaps"
        assert scheduler.running == tuple(slots[slot] for slot in range(len(slots)))
        if not slots:
            break
        finished = [slot for slot in slots if rng.random() < 0.4]
    expected = [Sample(request, index) for request, count in enumerate(counts) for index in range(count)]
    assert sorted(done) == expected
    assert sorted(computed) == [request for request, count in enumerate(counts) if count], (
        "a prompt is computed once"
    )
