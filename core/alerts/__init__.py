"""What an operator is told without asking: which alerts stand, what was told of them, and the outbox that loses none of it."""
