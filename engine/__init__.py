"""Xueji's engine: everything but the web. `docs/architecture.md` has the rooms and why their walls stand."""
