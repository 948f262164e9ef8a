"""The methods on rows outside memory: each the passes of its kernel over blocks, and what the sums of all blocks lead to."""
