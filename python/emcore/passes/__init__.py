"""The methods on rows outside memory: each kernel as passes over blocks, and what the sums of all blocks lead to."""
