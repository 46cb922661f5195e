"""Movement: pull and sweep. The only room that knows both the platforms and the database."""
