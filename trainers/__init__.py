"""From a graph to a trained, measured network. Torch lives here, in the exporters, and where nas calls them."""
