"""Two captures, or two windows of one: what changed, and whether it is more than noise."""
