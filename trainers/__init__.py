"""From a graph to a trained, measured network. The only package beside the exporters that imports torch."""
