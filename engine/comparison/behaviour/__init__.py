"""What a procedure can do: all its runs, explored state by state, and what can be said of them."""

from engine.comparison.behaviour.space import BOUND, Space, collaboration, explore
from engine.comparison.behaviour.statements import Runs, Statement, Stop, statements

__all__ = ["BOUND", "Runs", "Space", "Statement", "Stop", "collaboration", "explore", "statements"]
