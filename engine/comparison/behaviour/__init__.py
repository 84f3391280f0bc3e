"""What a procedure can do: all its runs, explored state by state, and what can be said of them."""

from engine.comparison.behaviour.space import BOUND, Space, collaboration, explore

__all__ = ["BOUND", "Space", "collaboration", "explore"]
