"""Sizes that a training goes by and the prediction of its memory must know; no torch here."""

ALIGN = 16  # float32 elements in 64 bytes, where vector units like their operands to start
BLOCK = 131_072  # elements that RMSProp updates at a time: half a megabyte each of parameters, gradients and state
