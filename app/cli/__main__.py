"""`python -m civicsync.app.cli`."""

from .main import main

main()
