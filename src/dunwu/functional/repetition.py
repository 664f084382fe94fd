"""Whether a text ends in a loop, told by how well its end compresses. Pure text, no tensors.

Cheap enough for every completion of every step. The repetition penalty and the readability filter judge whole texts by their
n-grams instead (`rewards.repetition`). Called by the training metrics.
"""

import zlib

END_CHARACTERS = 1000
"""Loops are looked for in so much of a text's end: a policy that has fallen into one does not come out."""
FEWEST_BYTES = 200
"""Of a shorter text nothing is said."""
LOOP_RATIO = 5.0
"""Texts that compress better than this loop; patient trying of one equation after the other comes to 3.5, prose to 2.5."""


def ends_in_loop(text: str) -> bool:
    """Whether the end of a text repeats itself over and over.

        bytes(end) / bytes(zlib(end)) > LOOP_RATIO

    Departures: the paper names endless repetition as a defect of R1-Zero and measures none. The measure is that of Whisper
        (Radford et al. 2022, section 4.5), with a threshold that chains of thought do not reach.
    """
    end = text[-END_CHARACTERS:].encode(errors="replace")
    return len(end) >= FEWEST_BYTES and len(end) > LOOP_RATIO * len(zlib.compress(end))
