"""What protects people in what is published and handed over. Reads rows, knows no platform and no network."""
