"""The faces of civicsync."""
