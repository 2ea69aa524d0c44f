"""Whether a training finds room in the memory of its device: said before it begins."""

from search_spaces.errors import RequestError
from trainers.memory import size_text
from trainers.torch_calls import Device

REFUSED_BEYOND = 1.5  # times what there is: no prediction is off by so much, and swapping does not carry so far


def check_room(predicted: int, present: int, device: Device, *, processes: int = 1) -> str:
    """Return a warning where a training is predicted to exceed what its device has, or else an empty text.

    ``predicted``: bytes of each of the ``processes`` that share the ``present`` ones. Raises RequestError beyond 1.5
    times of these.
    """
    needed = processes * predicted
    if needed <= present:
        return ""
    it = "the training" if processes == 1 else f"the training's {processes} processes on one machine"
    has, more = ("the GPU has", "GPUs") if device == "cuda" else ("the machine has", "machines")
    sentence = (
        f"{it} will take about {size_text(needed)} of memory at the peak, the pictures set aside, and {has} "
        f"{size_text(present)}: lower recipe.batch_size or resolution, or share the batch by workers on more {more}"
    )
    if needed > REFUSED_BEYOND * present:
        raise RequestError(sentence)
    return sentence
