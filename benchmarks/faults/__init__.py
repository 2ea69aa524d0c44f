"""Faults that a search must survive, tried one after another, and the table of what came of them.

    python -m benchmarks.faults -o benchmarks/faults.json

``__main__`` runs the ``rows`` and writes the table (``table``). What is searched is a ``toy``; ``warm`` starts drivers
in a moment; ``inside`` is what happens within the processes that are tried.
"""
