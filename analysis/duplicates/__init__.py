"""The same idea on several platforms, or twice on one: found, shown with evidence, decided by people. Nothing is merged."""
