"""What `civicsync init` writes: a configuration that explains itself."""

TEMPLATE = """\
# yaml-language-server: $schema=civicsync.schema.json
# The configuration of civicsync. Every key: docs/reference/config.md. Check it with: civicsync check
civicsync: 1

# Who runs this; goes into the User-Agent, so that a platform's administrator knows whom to write to.
operator:
  name: Gemeente Voorbeeld
  contact: digitaal@voorbeeld.example

# One file next to this one, or postgresql://civicsync:${DATABASE_PASSWORD}@host/civicsync
database: sqlite:///civicsync.db

privacy:
  # The secret that authors' pseudonyms are made with. Only as file:path or ${ENV_NAME}, never written here.
  key: file:KEY_FILE
  # How long texts of things that are gone from their platform are kept.
  purge_gone_after: 30d

# Whom to tell what cannot be settled without a person, and once a day how it went (docs/howto/alerts.md). Try it: civicsync alerts test
# alerts:
#   mail:
#     host: smtp.voorbeeld.example   # STARTTLS, port 587
#     user: civicsync
#     password: "${MAIL_PASSWORD}"
#     from: civicsync@voorbeeld.example
#     to: [beheer@voorbeeld.example]

# Your platforms. `civicsync discover https://...` finds out what answers there and prints the block to paste.
instances:
  participa-west:
    platform: decidim # or consul, your-priorities
    url: https://participa.example
    every: 15m
    # spaces: [process/12, assembly/3]   # only these; all public ones if left out
"""
